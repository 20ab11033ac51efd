"""One or several syncs as they go: bars on a terminal, a line for each change of state anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from app.console.states import Stream, Sync
from app.console.words import begun, cost_words, count_words, end_words, stream_name, waiting_words

BAR_WIDTH = 28
WAITS_APART_S = 5.0
_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}


class Board(Protocol):
    """A context manager that is shown each state of each sync."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, sync: Sync) -> None: ...


def board_for(console: Console, names: Mapping[str, str]) -> Board:
    """The board that fits the console. names: what to call the sync of each id, in the order of showing."""
    return LiveBoard(console, names) if console.is_terminal else LineBoard(console, names)


class LiveBoard:
    """All syncs below each other, drawn again as they move."""

    def __init__(self, console: Console, names: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._names = names
        self._clock = clock
        self._began = clock()
        self._syncs: dict[str, Sync] = {}
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, sync: Sync) -> None:
        self._syncs[sync.id] = sync

    def render(self) -> RenderableType:
        parts: list[RenderableType] = []
        for sync_id, name in self._names.items():
            sync = self._syncs.get(sync_id)
            parts.append(self._headline(name, sync))
            if sync is not None:
                parts.append(_bars(sync))
        return Group(*parts)

    def _headline(self, name: str, sync: Sync | None) -> Text:
        line = Text(name, style="bold", no_wrap=True, overflow="ellipsis")
        if sync is None:
            return line.append("  queued", style="dim")
        if sync.finished:
            return line.append(f"  {end_words(sync)}", style=_STYLES[sync.status])
        line.append(f"  {sync.status} {self._clock() - self._began:.0f} s, {cost_words(sync)}", style="not bold")
        if sync.waiting is not None:
            line.append(f"  {waiting_words(sync.waiting)}", style="not bold yellow")
        return line


def _bars(sync: Sync) -> Table:
    """A row for each stream that has begun."""
    table = Table.grid(padding=(0, 2))
    table.add_column(width=14)
    table.add_column(width=BAR_WIDTH)
    table.add_column(no_wrap=True)
    for name, stream in sync.progress.items():
        if begun(stream):
            table.add_row(f"  {stream_name(name)}", _bar(stream, moving=not sync.finished), count_words(stream))
    return table


def _bar(stream: Stream, *, moving: bool) -> ProgressBar:
    """Full once done; a pulse where nobody knows how much is to come."""
    if stream.done:
        return ProgressBar(total=1, completed=1, width=BAR_WIDTH)
    if stream.expected is None:
        return ProgressBar(total=None if moving else 1, pulse=moving, width=BAR_WIDTH)
    return ProgressBar(total=max(stream.expected, 1), completed=stream.fetched, width=BAR_WIDTH)


class LineBoard:
    """A line when a sync begins, a stream is done, it has to wait, it ends. Waits of one sync are told at most every
    `WAITS_APART_S`.
    """

    def __init__(self, console: Console, names: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._names = names
        self._clock = clock
        self._told: dict[str, set[str]] = {sync_id: set() for sync_id in names}
        self._waited_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, sync: Sync) -> None:
        if sync.status == "running":
            self._once(sync, "running")
        for name, stream in sync.progress.items():
            if stream.done and begun(stream):
                self._once(sync, f"{stream_name(name)}: {count_words(stream)} read", key=name)
        if sync.waiting is not None and not sync.finished:
            self._wait(sync, waiting_words(sync.waiting))
        if sync.finished:
            self._once(sync, end_words(sync))

    def _once(self, sync: Sync, words: str, key: str | None = None) -> None:
        told = self._told.setdefault(sync.id, set())
        if (key or words) not in told:
            told.add(key or words)
            name = self._names.get(sync.id, sync.id)
            self._console.print(f"{name}: {words}", markup=False, highlight=False, soft_wrap=True)

    def _wait(self, sync: Sync, words: str) -> None:
        now, before = self._clock(), self._waited_at.get(sync.id)
        if before is None or now - before >= WAITS_APART_S:
            self._waited_at[sync.id] = now
            self._told.setdefault(sync.id, set()).discard(words)
            self._once(sync, words)
