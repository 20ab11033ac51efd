"""Callers who do as the service's documents say: they send a request again that was broken off or answered 503."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.survival.processes import ADMIN_KEY

GIVES_UP_S = 60
AGAIN_S = 0.03


@dataclass
class Crowd:
    """urls           of replicas, which take turns; one that does not do is passed over for this request.
    took_s         what each request took its caller, all attempts together.
    statuses       what each attempt was answered; `broken` where it was not.
    acknowledged   names of the keys that somebody was told are made, with their ids.
    """

    urls: list[str]
    client: httpx.AsyncClient
    took_s: list[float] = field(default_factory=list)
    statuses: Counter[int | str] = field(default_factory=Counter)
    acknowledged: dict[str, str] = field(default_factory=dict)
    _turns: Iterator[int] = field(default_factory=itertools.count)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def ask(self, method: str, path: str, *, key: str | None = None, **kwargs: Any) -> httpx.Response:
        """The answer that is no 503. Raises TimeoutError where none comes within a minute."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        began, turn = time.monotonic(), next(self._turns)
        async with asyncio.timeout(GIVES_UP_S):
            while (answer := await self._once(turn, method, path, headers, kwargs)) is None:
                turn += 1
                await asyncio.sleep(AGAIN_S)
        self.took_s.append(time.monotonic() - began)
        return answer

    async def _once(
        self, turn: int, method: str, path: str, headers: dict[str, str], kwargs: dict[str, Any]
    ) -> httpx.Response | None:
        try:
            answer = await self.client.request(
                method, self.urls[turn % len(self.urls)] + path, headers=headers, **kwargs
            )
        except httpx.TransportError:
            self.statuses["broken"] += 1
            return None
        self.statuses[answer.status_code] += 1
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["content-type"] == "application/problem+json"
            return None
        first_still_runs = answer.status_code == 409 and "still running" in answer.text
        return None if first_still_runs else answer

    async def write(self) -> None:
        name = f"key {next(self._numbers)}"
        answer = await self.ask("POST", "/v1/api-keys", key=name, json={"name": name, "role": "viewer"})
        assert answer.status_code == 201, answer.text
        self.acknowledged[name] = answer.json()["id"]

    async def read(self) -> None:
        answer = await self.ask("GET", "/v1/api-keys?limit=5")
        assert answer.status_code == 200, answer.text

    async def made(self) -> dict[str, list[str]]:
        """The ids of the keys that are there, by their names."""
        found: dict[str, list[str]] = {}
        cursor: str | None = ""
        while cursor is not None:
            page = (await self.ask("GET", "/v1/api-keys?limit=200" + (f"&cursor={cursor}" if cursor else ""))).json()
            for item in page["items"]:
                found.setdefault(item["name"], []).append(item["id"])
            cursor = page["next_cursor"]
        return found

    async def until(self, count: int) -> None:
        """Once so many writes were acknowledged."""
        async with asyncio.timeout(30):
            while True:
                if len(self.acknowledged) >= count:
                    return
                await asyncio.sleep(0.05)

    async def check(self) -> None:
        """What was acknowledged is there, under the id that was told, once; and so is nothing else."""
        made = await self.made()
        assert {name: ids for name, ids in made.items() if name.startswith("key ")} == {
            name: [told] for name, told in self.acknowledged.items()
        }

    def figures(self) -> str:
        return (
            f"{len(self.took_s)} requests, p50 {self.slowest(0.5):.3f} s, p99 {self.slowest(0.01):.3f} s, "
            f"max {max(self.took_s):.3f} s; {dict(self.statuses)}"
        )

    def slowest(self, share: float) -> float:
        """The time within which all requests but that share were answered."""
        return sorted(self.took_s)[int(len(self.took_s) * (1 - share))]


@asynccontextmanager
async def crowding(crowd: Crowd, callers: int, pause_s: float = 0.0) -> AsyncIterator[None]:
    """So many callers, who read and write in turn for the time of the block; then each ends what it has begun."""
    leaving = asyncio.Event()

    async def call() -> None:
        while not leaving.is_set():
            await crowd.write()
            await crowd.read()
            await asyncio.sleep(pause_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
        try:
            yield
        finally:
            leaving.set()
