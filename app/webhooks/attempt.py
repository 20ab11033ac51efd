"""One attempt to hand one message to its receiver: signed, authorised, sent once, and its answer read."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import httpx
import structlog

from app.access.links import signatures_in
from app.core import tracing
from app.core.clock import DatabaseClock
from app.core.errors import OutboundRefused, SeatwiseError
from app.http.bodies import AnswerCutOff, AnswerTooLarge
from app.http.client import GuardedTransport
from app.http.masking import excerpt, masked
from app.http.retry import told_wait
from app.sync.runtime import Runtime
from app.vault import VaultError
from app.webhooks.authorization import Authorization
from app.webhooks.endpoints import open_secrets, signing_secrets
from app.webhooks.signing import signed_headers
from app.webhooks.target import Outcome, Target
from app.webhooks.verdict import judge

__all__ = ["Outcome", "Target", "attempt", "transport_for"]

LONGEST_TOLD_S = 24 * 3600.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024

log = structlog.get_logger()
_told_deprecated: set[str] = set()


def transport_for(runtime: Runtime) -> GuardedTransport:
    """The way out for one worker."""
    settings = runtime.settings
    return GuardedTransport(
        allow=settings.outbound_allow, timeout_s=settings.webhook_timeout, max_bytes=MAX_ANSWER_BYTES
    )


@dataclass(frozen=True, slots=True)
class _Exchange:
    """An answer, or why there is none."""

    response: httpx.Response | None = None
    error: str | None = None


@dataclass(slots=True)
class _Trial:
    """What is known while an attempt is made."""

    clock: DatabaseClock
    at: datetime
    began: float
    secrets: list[str] = field(default_factory=list, repr=False)


async def attempt(
    runtime: Runtime,
    target: Target,
    message_id: UUID,
    body: bytes,
    *,
    test: bool = False,
    transport: GuardedTransport | None = None,
    clock: DatabaseClock | None = None,
) -> Outcome:
    """Send a message once; what came of it, whatever that is.

    body        the whole JSON body.
    test        ask a SailPoint workflow at its test endpoint, where nothing runs.
    transport   the caller's; else one is made for this attempt.
    clock       the caller's, by which the message is dated; else the database is asked.
    Raises the database's own errors only.
    """
    if clock is None:
        clock = DatabaseClock(await runtime.database.pool.fetchval("SELECT clock_timestamp()"))
    trial = _Trial(clock, clock.now(), time.monotonic(), secrets=signatures_in(body))
    async with AsyncExitStack() as stack:
        own = transport if transport is not None else await stack.enter_async_context(transport_for(runtime))
        exchange = await _exchange(runtime, own, target, str(message_id), body, trial, test=test)
    return _outcome(trial, exchange, target, test=test)


async def _exchange(
    runtime: Runtime,
    transport: GuardedTransport,
    target: Target,
    message_id: str,
    body: bytes,
    trial: _Trial,
    *,
    test: bool,
) -> _Exchange:
    try:
        authorization = Authorization(
            runtime, transport, target, open_secrets(runtime.vault, target.id, target.sealed), trial.secrets
        )
        signing = signing_secrets(runtime.vault, target.id, target.sealed_signing, trial.at)
    except VaultError as error:
        return _Exchange(error=error.detail)
    trial.secrets += signing
    headers = {"Content-Type": "application/json", **signed_headers(message_id, trial.at, body, signing)}
    try:
        url = _address(target.url, asks_only=test and target.format == "sailpoint_workflow")
        response = await _send(transport, url, body, headers, await _proof(authorization.header()))
        if response.status_code == 401 and (other := await _proof(authorization.renewed())):
            response = await _send(transport, url, body, headers, other)
    except _NoProof as error:
        return _Exchange(error=f"Nothing was sent: {error}")
    except OutboundRefused as error:
        return _Exchange(error=f"outbound_refused: {error.detail}")
    except AnswerTooLarge as error:
        # Whoever says so much has said first whether it took the message.
        return _Exchange(error.answer, None if error.answer else _lost(error, runtime.settings.webhook_timeout))
    except (httpx.RequestError, httpx.InvalidURL) as error:
        return _Exchange(error=_lost(error, runtime.settings.webhook_timeout))
    return _Exchange(response)


class _NoProof(Exception):
    """The receiver was not asked, because nothing can be put into `Authorization`; says why."""


async def _proof(asked: Awaitable[str | None]) -> str | None:
    """What is put into `Authorization`. Raises _NoProof, in the words of who refused it."""
    try:
        return await asked
    except OutboundRefused as error:
        raise _NoProof(f"outbound_refused: {error.detail}") from None
    except SeatwiseError as error:
        raise _NoProof(error.detail) from None
    except httpx.RequestError as error:
        raise _NoProof(f"the token endpoint did not answer ({type(error).__name__}).") from None


async def _send(
    transport: GuardedTransport, url: httpx.URL, body: bytes, headers: dict[str, str], proof: str | None
) -> httpx.Response:
    own = {**headers, "Authorization": proof} if proof is not None else headers
    with tracing.webhook_attempt(url, headers["webhook-id"]) as span:
        response = await transport.post(url, own, body)
        tracing.answered(span, response.status_code)
    return response


@lru_cache(maxsize=256)
def _address(given: str, *, asks_only: bool) -> httpx.URL:
    """The URL as it was given; or that of a workflow's test endpoint."""
    url = httpx.URL(given)
    if not asks_only:
        return url
    path, _, query = url.raw_path.partition(b"?")
    whole = path.rstrip(b"/") + b"/test" + (b"?" + query if query else b"")
    return url.copy_with(raw_path=whole)


def _lost(fault: Exception, timeout_s: float) -> str:
    """Why no whole answer came. The library's own words may repeat a header, so some are told in ours."""
    if isinstance(fault, httpx.TimeoutException):
        return f"No complete answer came within {timeout_s:g} s."
    if isinstance(fault, AnswerTooLarge | AnswerCutOff | httpx.DecodingError):
        return f"The answer could not be read: {str(fault) or 'it was cut off'}."
    if isinstance(fault, httpx.ConnectError):
        return f"The connection failed: {str(fault) or 'nobody answers there'}."
    if isinstance(fault, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return "The message cannot be sent as HTTP. Check the URL and the secret."
    return "The connection broke off before an answer came."


def _outcome(trial: _Trial, exchange: _Exchange, target: Target, *, test: bool) -> Outcome:
    latency_ms = round(1000 * (time.monotonic() - trial.began))
    answer = exchange.response
    if answer is None:
        error = masked(exchange.error or "", trial.secrets)
        return Outcome(False, None, latency_ms, error, None, None, None, False, trial.at)
    _tell_deprecated(target, answer)
    runs = target.format == "sailpoint_workflow" and not test
    verdict = judge(answer.status_code, answer.content, runs_workflow=runs)
    told = told_wait(answer.headers, trial.clock.now(), by_reset=False, uniform=lambda: 0.0)
    return Outcome(
        ok=verdict.error is None,
        status_code=answer.status_code,
        latency_ms=latency_ms,
        error=verdict.error and masked(verdict.error, trial.secrets),
        answer_excerpt=excerpt(answer.content, trial.secrets),
        workflow_execution_id=verdict.workflow_execution_id and masked(verdict.workflow_execution_id, trial.secrets),
        retry_after_s=None if told is None else min(told, LONGEST_TOLD_S),
        gone=answer.status_code == httpx.codes.GONE,
        at=trial.at,
    )


def _tell_deprecated(target: Target, answer: httpx.Response) -> None:
    """Once in the life of the process: the receiver says that this URL will end."""
    if answer.headers.get("x-deprecated", "").lower() == "true" and target.url not in _told_deprecated:
        _told_deprecated.add(target.url)
        log.warning("webhook.url_deprecated", webhook_id=str(target.id), host=httpx.URL(target.url).host)
