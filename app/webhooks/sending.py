"""One delivery under way in this process: its body, one attempt, and what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from app.core.database import Record
from app.core.faults import is_database_fault
from app.sync.runtime import Runtime
from app.webhooks.attempt import attempt, transport_for
from app.webhooks.claims import Claim
from app.webhooks.ladder import wait_after
from app.webhooks.loading import Bodies, NothingToTell
from app.webhooks.settling import Settled
from app.webhooks.target import Outcome
from app.webhooks.transports import Transports

log = structlog.get_logger()


@dataclass(slots=True)
class Sender:
    runtime: Runtime
    transports: Transports = field(init=False)
    _bodies: Bodies = field(init=False)

    def __post_init__(self) -> None:
        self.transports = Transports(lambda: transport_for(self.runtime))
        self._bodies = Bodies(self.runtime)

    async def send(self, claim: Claim, events: Mapping[UUID, Record]) -> Settled | None:
        """Try a delivery once; None where it could not be tried, because the database does not answer."""
        try:
            outcome = await self._outcome(claim, events)
        except NothingToTell as error:
            return Settled(claim, _never_sent(claim, str(error)), None)
        except Exception as error:
            if is_database_fault(error):
                log.warning("delivery.put_off", delivery_id=str(claim.id), error=type(error).__name__)
                return None
            log.exception("delivery.broken", delivery_id=str(claim.id), error=type(error).__name__)
            outcome = _never_sent(claim, "An internal error; the log of the service tells more.")
        settled = Settled(claim, outcome, self._wait(claim, outcome))
        _tell(settled)
        return settled

    async def _outcome(self, claim: Claim, events: Mapping[UUID, Record]) -> Outcome:
        body = await self._bodies.of(claim, events)
        async with self.transports.lent(claim.target.id) as transport:
            return await attempt(
                self.runtime, claim.target, claim.message_id, body, transport=transport, clock=claim.clock
            )

    def _wait(self, claim: Claim, outcome: Outcome) -> float | None:
        if outcome.gone:
            return None
        return wait_after(claim.tries + 1, self.runtime.settings.webhook_retries, outcome.retry_after_s)

    async def close(self) -> None:
        await self.transports.close_resting(0.0)


def _never_sent(claim: Claim, error: str) -> Outcome:
    return Outcome(False, None, 0, error, None, None, None, False, claim.clock.now())


def _tell(settled: Settled) -> None:
    claim, outcome = settled.claim, settled.outcome
    if outcome.ok:
        log.debug("delivery.succeeded", delivery_id=str(claim.id), latency_ms=outcome.latency_ms)
        return
    log.info(
        "delivery.failed" if settled.wait_s is None else "delivery.delayed",
        delivery_id=str(claim.id),
        webhook_id=str(claim.target.id),
        status=outcome.status_code,
        detail=outcome.error,
        wait_s=settled.wait_s and round(settled.wait_s, 1),
    )


async def ended(tasks: set[asyncio.Task[None]], within_s: float) -> None:
    """Wait for what is under way, and end what takes longer."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
