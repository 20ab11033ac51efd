"""The post of a process: claims deliveries that are due, sends them side by side, and writes down what came of them.

What has come back is written down and what is due is claimed in one transaction, many at a time. A process that dies
leaves leases that end within seconds; one that stops gives back what it has not sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from app.core.database import Connection, Record
from app.core.faults import passing_over_database_faults
from app.sync.runtime import Runtime
from app.webhooks import claims
from app.webhooks.claims import Claim
from app.webhooks.disabling import fail_pending
from app.webhooks.loading import load_events
from app.webhooks.sending import Sender, ended
from app.webhooks.settling import Settled, settle
from app.webhooks.waking import CHANNEL

log = structlog.get_logger()

# Under way in one process at most.
SLOTS = 256
# Without a call nobody looks longer away than this.
POLL_S = 0.5
# Answers that come one by one are written down together: when one in so many is back, or after this. Whoever is not
# written down keeps his place from the next message, so it is short beside what a receiver takes.
GATHERED = 8
GATHER_S = 0.004
BEAT_S = 2.0
# A database that is silent for so long is left, and asked anew.
TURN_S = 15.0
PAUSE_AFTER_FAULT_S = 1.0
# What is under way when the process stops may end within this; the rest is given back.
GRACE_S = 5.0


@asynccontextmanager
async def delivering(runtime: Runtime) -> AsyncIterator[None]:
    """Deliver for the time of the block."""
    post = _Post(runtime)
    task = asyncio.create_task(post.run())
    try:
        yield
    finally:
        post.stop()
        await task


@dataclass(slots=True)
class _Post:
    runtime: Runtime
    _sender: Sender = field(init=False)
    _under_way: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    _settled: list[Settled] = field(default_factory=list)
    _put_off: list[UUID] = field(default_factory=list)
    _called: asyncio.Event = field(default_factory=asyncio.Event)
    _gathering: asyncio.TimerHandle | None = None
    _stopping: bool = False
    _next_beat: float = 0.0

    def __post_init__(self) -> None:
        self._sender = Sender(self.runtime)

    def stop(self) -> None:
        self._stopping = True
        self._called.set()

    async def run(self) -> None:
        """Until it is stopped; when the database goes away, come back with it."""
        while not self._stopping:
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001  whatever it was, the next turn comes
                log.warning("deliveries.interrupted", error=type(error).__name__, detail=str(error)[:200])
                await asyncio.sleep(PAUSE_AFTER_FAULT_S)
        await self._leave()

    async def _serve(self) -> None:
        connection = await self.runtime.database.connect()
        try:
            await connection.add_listener(CHANNEL, lambda *_: self._called.set())
            while not self._stopping:
                async with asyncio.timeout(TURN_S):
                    await self._turn(connection)
                await self._wait()
        finally:
            with passing_over_database_faults():
                await connection.close(timeout=1)

    async def _turn(self, connection: Connection) -> None:
        """Write down, renew, claim; then begin what was claimed."""
        self._called.clear()
        async with connection.transaction():
            written, returned = await self._write_down(connection)
            if time.monotonic() >= self._next_beat:
                await claims.renew(connection, list(self._under_way))
                await fail_pending(connection)
            free = SLOTS - len(self._under_way) - len(self._settled)
            claimed = await claims.claim(connection, free) if free > 0 else []
        del self._settled[:written], self._put_off[:returned]
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_S
            await self._sender.transports.close_resting()
        await self._begin(connection, claimed)

    async def _write_down(self, connection: Connection) -> tuple[int, int]:
        """How many outcomes were written, and how many deliveries given back; they are forgotten after the commit."""
        settled, put_off = list(self._settled), list(self._put_off)
        if settled:
            await settle(connection, settled)
        if put_off:
            await claims.give_back(connection, put_off, in_s=PAUSE_AFTER_FAULT_S)
        return len(settled), len(put_off)

    async def _begin(self, connection: Connection, claimed: list[Claim]) -> None:
        """From here on they are under way, so that each is renewed, whatever becomes of the connection."""
        if not claimed:
            return
        try:
            events = await load_events(connection, claimed)
        except BaseException:
            self._put_off += [claim.id for claim in claimed]
            raise
        for claim in claimed:
            if claim.id in self._under_way:  # its lease had ended, for the process was held up
                continue
            self._under_way[claim.id] = asyncio.create_task(self._send(claim, events))

    async def _send(self, claim: Claim, events: Mapping[UUID, Record]) -> None:
        try:
            settled = await self._sender.send(claim, events)
        except asyncio.CancelledError:
            self._put_off.append(claim.id)
            raise
        finally:
            del self._under_way[claim.id]
        if settled is None:
            self._put_off.append(claim.id)
        else:
            self._settled.append(settled)
        if len(self._settled) > len(self._under_way) // GATHERED:
            self._called.set()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        self._called.set()

    async def _wait(self) -> None:
        """Until somebody calls, or it is time to look."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._called.wait()

    async def _leave(self) -> None:
        """Let what is under way come to its end, and give back the rest."""
        await ended(set(self._under_way.values()), GRACE_S)
        await self._sender.close()
        if not self._settled and not self._put_off:
            return
        with passing_over_database_faults():
            async with self.runtime.database.transaction() as connection:
                if self._settled:
                    await settle(connection, self._settled)
                await claims.give_back(connection, self._put_off)
