"""A small client of the service's own REST API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from app.console.problems import ApiProblem, ServiceUnreachable, problem_of
from app.console.sse import read_events
from app.console.states import Sync, read_sync

# A check of a credential may try the vendor for a minute.
TIMEOUT_S = 90.0
# The event stream sends a comment at least every 15 s; three missed ones mean that it is dead.
SILENCE_S = 45.0
LIST_PAGE = 200
_PASSING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
_PAUSES_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


class ApiClient:
    """One service, called with one API key. To be used as an async context manager.

    server         URL of the service; a path before /v1 is kept.
    retry_for_s    how long a broken event stream is asked for again before giving up.
    transport      in place of the network and of the environment's proxies.

    All calls raise ApiProblem where the service refuses, ServiceUnreachable where it does not answer.
    """

    def __init__(
        self, server: str, key: str, *, retry_for_s: float = 60.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._retry_for_s = retry_for_s
        self._http = httpx.AsyncClient(
            base_url=_base(server),
            headers={"Authorization": f"Bearer {_checked_key(key)}", "Accept": "application/json"},
            timeout=TIMEOUT_S,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def get(self, path: str, **params: str | int) -> dict[str, Any]:
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self._call("POST", path, body=body)

    async def items(self, path: str, **params: str | int) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, over all its pages."""
        query: dict[str, str | int] = {"limit": LIST_PAGE, **params}
        while True:
            page = await self.get(path, **query)
            for item in page["items"]:
                yield item
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    async def total(self, path: str) -> int:
        """How many items a list has."""
        return int((await self.get(path, limit=1, count="true"))["total"])

    async def watch(self, sync_id: str) -> AsyncGenerator[Sync, None]:
        """The sync's states as they come, its end last. A stream that breaks is asked for again: each begins with the
        current state.
        """
        broken_since, tries = 0.0, 0
        clock = asyncio.get_running_loop().time
        while True:
            cause = "The event stream ended too early."
            try:
                async with aclosing(self._stream(sync_id)) as states:
                    async for sync in states:
                        tries = 0
                        yield sync
                        if sync.finished:
                            return
            except httpx.TransportError as fault:
                cause = _fault(fault)
            except ApiProblem as problem:
                if problem.status not in _PASSING:
                    raise
                cause = problem.detail
            if tries == 0:
                broken_since = clock()
            elif clock() - broken_since > self._retry_for_s:
                raise ServiceUnreachable(f"The sync cannot be watched any more; it goes on by itself. {cause}")
            await asyncio.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
            tries += 1

    async def _stream(self, sync_id: str) -> AsyncGenerator[Sync, None]:
        timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
        headers = {"Accept": "text/event-stream"}
        async with self._http.stream("GET", f"/v1/syncs/{sync_id}/events", headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                await answer.aread()
                raise problem_of(answer)
            async for event in read_events(answer.aiter_bytes()):
                if event.name in {"progress", "finished"}:
                    yield read_sync(msgspec.json.decode(event.data))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, params=params, json=body)
        except httpx.TransportError as fault:
            raise ServiceUnreachable(
                f"{self._http.base_url} does not answer: {_fault(fault)}. Is the service running there?"
            ) from None
        if not answer.is_success:
            raise problem_of(answer)
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.MsgspecError:
            raise problem_of(answer) from None


def _base(server: str) -> httpx.URL:
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ServiceUnreachable(f"{server!r} is no URL of a service; type it as http://127.0.0.1:8000.")
    return url


def _checked_key(key: str) -> str:
    """The key as a header takes it; the error does not repeat it."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ServiceUnreachable("An API key is needed: give it with --key or in SEATWISE_KEY.")
    return key


def _fault(fault: httpx.TransportError) -> str:
    return str(fault) or type(fault).__name__
