"""Small secrets that the service makes for itself and keeps beside its embedded database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK_FILE = "start.lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[int]:
    """Keep every other process out of the block for this folder; they wait. Raises OSError where it cannot be written.

    The lock is that of the descriptor, for whoever is to go on holding it when this process is killed. A block within
    the block waits for ever.
    """
    handle = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def kept_text(file: Path, make: Callable[[], str]) -> str:
    """The text of `file`, without the line's end; where there is no such file, what `make` answers is kept there.

    The file is for its owner alone (0600), and whole from the first moment that it has its name, whatever is killed.
    Of processes that start together one makes it, and the others read. Raises OSError.
    """
    if not file.exists():
        with alone_in(file.parent):
            if not file.exists():
                _write(file, make() + "\n")
    return file.read_text().strip()


def _write(file: Path, text: str) -> None:
    unnamed = file.with_name(f"{file.name}.new")
    # What a start that was killed has left may be half a text, or another's.
    unnamed.unlink(missing_ok=True)
    handle = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(handle)
    unnamed.rename(file)
    remember_names(file.parent)


def remember_names(folder: Path) -> None:
    """Let a loss of power no longer undo that files of the folder were made or renamed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
