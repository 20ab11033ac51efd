"""Ctrl-C and its kin end the demo in order: what it has started is stopped, what it has written is removed."""

from __future__ import annotations

import asyncio
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The first signal cancels the running task, or ends `wait`; further ones do not disturb the cleaning up.

    To be made inside the task that is to be cancelled.
    """

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._came = asyncio.Event()
        self._task = asyncio.current_task()
        self._expected = False
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._take, number)

    async def wait(self) -> None:
        """Sleep until a signal comes."""
        self._expected = True
        await self._came.wait()

    def _take(self, number: signal.Signals) -> None:
        if self.number is not None:
            return
        self.number = number
        self._came.set()
        if not self._expected and self._task is not None:
            self._task.cancel()
