"""What a server that was killed leaves in `postmaster.pid`, where PostgreSQL or the package over it would stumble."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import psutil

# A server that is starting may have a log to replay, one that is stopping a last checkpoint to write.
PATIENCE_S = 60.0
_LOOK_S = 0.1
_LINES = 8


def settle(cluster: Path) -> None:
    """Come back once a server of this cluster is either ready or gone, and no file says otherwise.

    Left alone is the file of a server that was ready and whose number is nobody's: PostgreSQL looks by it for backends
    that are still ending. Raises TimeoutError after PATIENCE_S.
    """
    file = cluster / "postmaster.pid"
    until = time.monotonic() + PATIENCE_S
    while (lines := _lines(file)) is not None:
        whole = len(lines) == _LINES
        pid = int(lines[0]) if lines and lines[0].strip().isdigit() else None
        if pid is not None and _is_server(pid, cluster):
            if whole and lines[-1].strip() == "ready":
                return
        elif whole and pid is not None and not psutil.pid_exists(pid):
            return
        else:
            file.unlink(missing_ok=True)
            return
        if time.monotonic() > until:
            raise TimeoutError(errno.ETIMEDOUT, f"its server has been starting or stopping for {PATIENCE_S:.0f} s")
        time.sleep(_LOOK_S)


def _lines(file: Path) -> list[str] | None:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return None


def _is_server(pid: int, cluster: Path) -> bool:
    """Whether the process is this cluster's server, and not another program that got the number after it; believed of
    one that may not be looked at.
    """
    try:
        return str(cluster) in psutil.Process(pid).cmdline()
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
