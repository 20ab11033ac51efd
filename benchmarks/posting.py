"""`python -m benchmarks.posting`: the baseline of deliveries: a bare loop of httpx, one client for each worker.

Takes an Order on stdin; its answer is nothing but its end.
"""

from __future__ import annotations

import asyncio
import sys

import httpx
import msgspec
import uvloop


class Order(msgspec.Struct):
    """messages posted to `url` by `workers`, each with `body`."""

    url: str
    messages: int
    workers: int
    body: str


class Done(msgspec.Struct):
    posted: int


async def post(order: Order) -> Done:
    turns = iter(range(order.messages))
    body = order.body.encode()

    async def work() -> int:
        done = 0
        async with httpx.AsyncClient(trust_env=False) as client:
            for number in turns:
                headers = {"Content-Type": "application/json", "webhook-id": str(number)}
                answer = await client.post(order.url, content=body, headers=headers)
                assert answer.status_code == 200
                done += 1
        return done

    return Done(sum(await asyncio.gather(*(work() for _ in range(order.workers)))))


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(post(order))).decode())
