"""Processes of the service that die at a named point, as kill -9 ends them: nothing of them runs any more.

The service knows nothing of it: the points are functions of it that are wrapped from outside, in a process forked for
one fault. The nursery has imported the service once, so that a process costs a fork and not a start of Python.
Started as a module it reads one order a line, and answers each with the number of the process.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NoReturn

import psutil
import uvloop

ROOT = Path(__file__).parents[2]
When = Literal["before", "after", "left"]


@dataclass(frozen=True)
class Point:
    """Where a process dies: before or after a function runs, or once a context manager was left, the `nth` time.

    place   module:name; a name of a tuple of functions stands for each of them.
    """

    place: str
    when: When
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.place} ({self.nth})"


class _Countdown:
    def __init__(self, nth: int) -> None:
        self.left = nth

    def reached(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(point: Point) -> None:
    """Let this process die at the point."""
    module, _, name = point.place.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, last = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    found, countdown = getattr(owner, last), _Countdown(point.nth)
    if isinstance(found, tuple):
        setattr(owner, last, tuple(_deadly(one, point.when, countdown) for one in found))
    else:
        setattr(owner, last, _deadly(found, point.when, countdown))


def _deadly(function: Callable[..., Any], when: When, countdown: _Countdown) -> Callable[..., Any]:
    if when == "left":

        @asynccontextmanager
        async def around(*args: Any, **kwargs: Any) -> Any:
            async with function(*args, **kwargs) as value:
                yield value
            countdown.reached()

        return around

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            countdown.reached()
        answer = await function(*args, **kwargs)
        if when == "after":
            countdown.reached()
        return answer

    return run


def _hurry() -> None:
    """Shorten what a dead process is waited for, and the batches of a removal, so that there are several."""
    from app.access import resealing
    from app.scheduler import timetable, worker
    from app.sync import removal
    from app.webhooks import claims

    worker.HEARTBEAT_TIMEOUT = timedelta(seconds=1)
    worker.POLL = timedelta(seconds=0.3)
    claims.LEASE_S = 1.5
    removal.BATCH = 40
    resealing.BATCH = 5
    timetable.TURNS = tuple((turn, min(seconds, 0.5) if seconds < 10 else seconds) for turn, seconds in timetable.TURNS)


async def _work() -> None:
    from app.core.settings import Settings
    from app.serving import work

    await work(Settings(_env_file=None))


async def _serve() -> None:
    from app.core.settings import Settings
    from app.serving import serve

    await serve(Settings(_env_file=None), host="127.0.0.1", port=int(os.environ["PORT"]), workers=True)


async def _rotate() -> None:
    from app.access.resealing import reseal_all
    from app.core.settings import Settings
    from app.opening import opened

    async with opened(Settings(_env_file=None)) as runtime:
        await reseal_all(runtime.database, runtime.vault)


_TASKS = {"work": _work, "serve": _serve, "rotate": _rotate}


def _live(order: dict[str, Any]) -> NoReturn:
    """The life of a forked process."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(order["environment"])
        _hurry()
        if order["point"] is not None:
            arm(Point(**order["point"]))
        uvloop.run(_TASKS[order["task"]]())
        status = 0
    except BaseException:  # noqa: BLE001  a fork must not go on as its parent; the log tells
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


def main() -> None:
    importlib.import_module("app.serving")
    importlib.import_module("app.connectors.okta.connector")
    # Nobody waits for them: they are gone once they have ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        number = os.fork()
        if number == 0:
            _live(json.loads(line))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Mortal:
    """A process of the nursery."""

    number: int

    def is_dead(self) -> bool:
        return not psutil.pid_exists(self.number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def send(self, signal_: signal.Signals) -> None:
        if not self.is_dead():
            os.kill(self.number, signal_)


@dataclass
class Nursery:
    """Begets processes. Each order costs a fork."""

    _process: subprocess.Popen[str] = field(repr=False)
    _begotten: list[Mortal] = field(default_factory=list)

    def beget(self, task: str, environment: dict[str, str], log: Path, point: Point | None = None) -> Mortal:
        """A process with the settings of the environment, which dies at the point where one is told."""
        told = {name: value for name, value in environment.items() if name.startswith(("SEATWISE_", "PORT"))}
        order = {
            "task": task, "environment": told, "log": str(log), "point": vars(point) if point is not None else None,
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._begotten.append(Mortal(int(self._process.stdout.readline())))
        return self._begotten[-1]

    def end(self) -> None:
        """None outlives the tests."""
        for mortal in self._begotten:
            mortal.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()


@contextmanager
def nursery() -> Iterator[Nursery]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEATWISE_")}
    command = [sys.executable, "-m", "tests.survival.dying"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=own
    ) as process:
        nursed = Nursery(process)
        try:
            yield nursed
        finally:
            nursed.end()


if __name__ == "__main__":
    main()
