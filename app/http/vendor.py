"""What connectors call: one vendor tenant, asked with the right credential, within its budget, with patience."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import httpx
import structlog

from app.core import clock, tracing
from app.core.errors import (
    InvalidOptions,
    OutboundRefused,
    UnexpectedAnswer,
    VendorBusy,
    VendorError,
    VendorUnavailable,
)
from app.http.answers import Answer, ErrorReader, Judge, Problem, VendorFault, without_half_pairs
from app.http.auth import Auth, StaticToken, TokenAuth
from app.http.bodies import AnswerCutOff, AnswerTooLarge
from app.http.masking import masked
from app.http.ports import Budget, Observed, Quota, Token, TokenStore
from app.http.retry import TOLD_CAP_S, Patience, observed
from app.http.tokens import is_due, read_claims, read_token

__all__ = [
    "TOKEN_BUCKET",
    "Answer",
    "ErrorReader",
    "Event",
    "Retrying",
    "TokenRenewed",
    "VendorClient",
    "VendorFault",
    "Waiting",
]

TOKEN_BUCKET = "token"  # noqa: S105 - a bucket's name
# How long a vendor that tells no limits and documents none is not held back before it is listened to again.
UNTOLD_S = 60.0
# Shorter waits are part of the pace, not worth a line on a screen.
WORTH_TELLING_S = 0.5

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is sent for `seconds`: for our share of the quota (`budget`) or because the vendor said so (`told`)."""

    seconds: float
    reason: Literal["budget", "told"]


@dataclass(frozen=True, slots=True)
class Retrying:
    """A call is tried again. `reason` is a failure's code (`vendor_busy`), `attempt` 1 for the first retry."""

    reason: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TokenRenewed:
    """A token was asked for, by this client, and given."""


Event = Waiting | Retrying | TokenRenewed
Prepare = Callable[[], Awaitable[httpx.Request]]


class VendorClient:
    """Asks one vendor tenant with one credential.

    retry_for_s        how long one call is retried, waits that the vendor asked for apart.
    quotas             documented limits by bucket; a bucket that is missing is told by the answers' headers.
    calls              HTTP requests sent so far, token requests and retries included.
    throttled_seconds  time spent waiting for the budget, or as the vendor said; side by side counts once.

    All methods raise app.core.errors.VendorError.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        auth: Auth,
        tokens: TokenStore,
        budget: Budget,
        *,
        errors: ErrorReader,
        quotas: Mapping[str, Quota],
        retry_for_s: float,
        on_event: Callable[[Event], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.calls = 0
        self._held_s = 0.0
        self._held = 0
        self._held_since = 0.0
        self._client = client
        self._auth = auth
        self._oauth: TokenAuth | None = None if isinstance(auth, StaticToken) else auth
        # The last place is the token's in use: what a vendor repeats of it must not be shown either.
        self._secrets = [*auth.secrets, ""]
        self._tokens = tokens
        self._budget = budget
        self._errors = errors
        self._quotas = quotas
        self._retry_for_s = retry_for_s
        self._on_event = on_event
        self._sleep = sleep
        self._now = now

    @property
    def throttled_seconds(self) -> float:
        """Time in which at least one request was held back; requests that wait side by side count once."""
        under_way = self._now().timestamp() - self._held_since if self._held else 0.0
        return max(0.0, self._held_s + under_way)

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str,
    ) -> Answer:
        """A successful answer whose body is JSON.

        params  added to the query that `url` may have already.
        bucket  the name of the group of endpoints whose quota this request uses.
        """
        target = _parsed(url).copy_merge_params(params) if params else _parsed(url)
        used: Token | None = None

        async def prepare() -> httpx.Request:
            nonlocal used
            used = await self._token()
            await self._turn(bucket)
            if used is not None and is_due(used, self._now()):
                used = await self._token()
            own = {"Accept": "application/json", **(headers or {}), "Authorization": self._authorization(used)}
            return self._client.build_request("GET", target, headers=own)

        async def renew() -> bool:
            if self._oauth is None:
                return False
            await self._tokens.renew(used, self._fetch_token)
            return True

        judge = self._judge("GET", target)
        return await self._settle(bucket, judge, prepare, judge.api, renew)

    async def claims(self) -> dict[str, Any]:
        """What the token in use says of itself where it is a JWT, else nothing. For showing only: no signature of it
        is checked.
        """
        token = await self._token()
        return {} if token is None else read_claims(token.value)

    def _authorization(self, token: Token | None) -> str:
        if isinstance(self._auth, StaticToken):
            return self._auth.authorization()
        value = token.value if token else ""
        self._secrets[-1] = value
        return f"Bearer {value}"

    async def _token(self) -> Token | None:
        """A token that is not due for renewal, None for a credential that needs none."""
        if self._oauth is None:
            return None
        token = await self._tokens.current()
        if token is None or is_due(token, self._now()):
            token = await self._tokens.renew(token, self._fetch_token)
        return token

    async def _fetch_token(self) -> Token:
        answer, issued_at = await self._post_form()
        try:
            token = read_token(answer.content, issued_at)
        except UnexpectedAnswer as error:
            error.request, error.vendor_status = f"POST {_path(httpx.URL(answer.url))}", answer.status
            raise
        self._tell(TokenRenewed())
        return token

    async def _post_form(self) -> tuple[Answer, datetime]:
        """The token endpoint's success, and when it was asked. Each try has its own assertion."""
        oauth, issued_at = self._oauth, self._now()
        if oauth is None:
            raise RuntimeError("a static token is never renewed")
        target = _parsed(oauth.token_url)

        async def prepare() -> httpx.Request:
            nonlocal issued_at
            await self._turn(TOKEN_BUCKET)
            issued_at, form = self._now(), oauth.token_request()
            return self._client.build_request("POST", form.url, headers=dict(form.headers), content=form.content)

        judge = self._judge("POST", target, hint=oauth.hint)
        answer = await self._settle(TOKEN_BUCKET, judge, prepare, judge.token, None)
        return answer, issued_at

    def _judge(self, method: str, target: httpx.URL, *, hint: str = "") -> Judge:
        return Judge(f"{method} {masked(_path(target), self._secrets)}", self._errors, self._secrets, hint)

    async def _settle(
        self,
        bucket: str,
        judge: Judge,
        prepare: Prepare,
        verdict: Callable[[Answer, datetime], Problem | None],
        renew: Callable[[], Awaitable[bool]] | None,
    ) -> Answer:
        """Send until an answer is fine or definite. `renew` is tried once, upon a refused token."""
        patience = Patience(self._retry_for_s)
        while True:
            request = await prepare()
            began = time.monotonic()
            outcome = await self._send(request, judge)
            if isinstance(outcome, Answer):
                await self._observe(bucket, outcome)
                problem = verdict(outcome, self._now())
                if problem is None:
                    return outcome
            else:
                await self._observe(bucket, None)
                problem = outcome
            if problem.course == "renew" and renew is not None and await renew():
                renew = None
            elif problem.course == "retry":
                await self._wait(bucket, problem, patience, spent_s=time.monotonic() - began)
            else:
                raise problem.error

    async def _send(self, request: httpx.Request, judge: Judge) -> Answer | Problem:
        began = time.monotonic()
        try:
            with tracing.vendor_call(request, judge.request.partition(" ")[2]) as span:
                response = await self._client.send(request)
                tracing.answered(span, response.status_code)
        except OutboundRefused as refused:
            raise OutboundRefused(refused.detail, request=judge.request) from None
        except httpx.RequestError as fault:
            self.calls += not isinstance(fault, _NEVER_SENT)
            log.debug("vendor_call_lost", request=judge.request, fault=type(fault).__name__)
            return _lost(fault, judge)
        self.calls += 1
        log.debug(
            "vendor_call",
            request=judge.request,
            status=response.status_code,
            seconds=round(time.monotonic() - began, 3),
        )
        content = without_half_pairs(response.content)
        return Answer(response.status_code, response.headers, content, str(response.url))

    async def _turn(self, bucket: str) -> None:
        """Wait until the budget grants one request."""
        while (wait_s := await self._budget.take(bucket, self._quotas.get(bucket))) > 0:
            await self._hold(wait_s, "budget")

    async def _observe(self, bucket: str, answer: Answer | None) -> None:
        """Tell the budget what came of a request; an answer that never came (None) ends its turn as well."""
        if bucket in self._quotas:
            return
        now = self._now()
        seen = observed(answer.headers, now) if answer is not None else None
        if seen is None:
            silence_s = UNTOLD_S if answer is not None and 200 <= answer.status < 300 else 0.0
            seen = Observed(0, 0, now + timedelta(seconds=silence_s))
        await self._budget.observe(bucket, seen)

    async def _wait(self, bucket: str, problem: Problem, patience: Patience, *, spent_s: float) -> None:
        """Wait before the next try, or raise the problem's error when patience is at its end."""
        told_s = problem.told_s
        if told_s is not None:
            await self._budget.block(bucket, self._now() + timedelta(seconds=min(told_s, TOLD_CAP_S)))
        wait_s = patience.next_wait(told_s, spent_s=spent_s)
        if wait_s is None:
            raise _too_long(problem.error, told_s) if told_s and told_s > TOLD_CAP_S else problem.error
        self._tell(Retrying(problem.error.code, patience.attempts))
        if told_s is not None:
            await self._hold(wait_s, "told")
        else:
            await self._sleep(wait_s)

    async def _hold(self, wait_s: float, reason: Literal["budget", "told"]) -> None:
        if wait_s >= WORTH_TELLING_S:
            self._tell(Waiting(wait_s, reason))
        if self._held == 0:
            self._held_since = self._now().timestamp()
        self._held += 1
        try:
            await self._sleep(wait_s)
        finally:
            self._held -= 1
            if self._held == 0:
                self._held_s += self._now().timestamp() - self._held_since

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)


def _parsed(url: str) -> httpx.URL:
    """Raises InvalidOptions: an address that is called begins with one of the options."""
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise InvalidOptions("The address to be called is not a URL. Check the options that hold URLs.") from None


def _path(url: httpx.URL) -> str:
    return url.raw_path.partition(b"?")[0].decode("ascii")


def _lost(fault: httpx.RequestError, judge: Judge) -> Problem:
    """What a fault of the wire means."""
    if isinstance(fault, AnswerTooLarge):
        return judge.lost(UnexpectedAnswer, str(fault), "stop")
    if isinstance(fault, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        # The library's words repeat the header that it could not send.
        return judge.lost(UnexpectedAnswer, "the request cannot be sent as HTTP", "stop")
    if isinstance(fault, AnswerCutOff | httpx.DecodingError):
        return judge.lost(UnexpectedAnswer, str(fault) or "the answer was cut off")
    if isinstance(fault, httpx.TimeoutException):
        return judge.lost(VendorUnavailable, str(fault) or "it took too long")
    return judge.lost(VendorUnavailable, str(fault) or "the connection failed")


def _too_long(error: VendorError, told_s: float) -> VendorBusy:
    return VendorBusy(
        f"{error.request} was refused for now; the vendor asks to wait {told_s / 60:.0f} minutes, "
        f"and at most {TOLD_CAP_S / 60:.0f} are waited.",
        request=error.request,
        vendor_status=error.vendor_status,
        vendor_code=error.vendor_code,
    )
