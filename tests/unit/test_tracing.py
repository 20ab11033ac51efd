"""Traces: one story over request, job and vendor, which holds no secret, and costs nothing while it is off."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import Receive, Scope, Send

from app.access.keys import create_key
from app.core import tracing
from app.core.queue import enqueue
from app.demo.vendors.loopback import Loopback
from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from app.main import create_app
from app.scheduler.worker import working
from app.sync.runtime import Runtime
from app.vault import generate_key
from tests.conftest import Api
from tests.survival.processes import ADMIN_KEY, Caller, environment, replicas
from tests.webhooks.receiver import Reply, receiving

CALLERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{CALLERS_TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def told() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    with tracing.telling(SimpleSpanProcessor(exporter)):
        yield exporter


@pytest_asyncio.fixture
async def traced_api(told: InMemorySpanExporter, runtime: Runtime) -> AsyncIterator[Api]:
    app = create_app(replace(runtime))
    async with runtime.database.session() as session:
        key = create_key(session, name="an admin", role="admin", email="admin@example.com").secret
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://seatwise.test") as client:
        yield Api(client, app, runtime, key)


def everything(spans: tuple[ReadableSpan, ...]) -> str:
    """All that is told, as it would be exported."""
    return "\n".join(span.to_json() for span in spans)


async def _synced(api: Api, vendor: VendorServer) -> None:
    """An instance of the vendor, launched within the caller's trace."""
    options = {"sso_url": "https://acme.okta.com", "api_url": vendor.api_url, "auth_url": vendor.auth_url}
    secrets = {"api_token": vendor.credentials.api_token}
    body = {"name": "Okta", "connector": "okta", "scheme": "api_token", "secrets": secrets, "options": options}
    credential = (await api.post("/v1/credentials", json=body)).json()
    body = {"name": "Okta", "connector": "okta", "credential_id": credential["id"], "sync": {"scope": "users"}}
    instance = (await api.post("/v1/instances", json=body)).json()
    async with working(api.runtime), asyncio.timeout(20):
        headers = {"traceparent": TRACEPARENT, "X-Request-Id": "the-callers-own"}
        sync = (await api.post(f"/v1/instances/{instance['id']}/launch", headers=headers)).json()
        while (await api.get(f"/v1/syncs/{sync['id']}")).json()["status"] in {"queued", "running"}:  # noqa: ASYNC110  asked as a client asks
            await asyncio.sleep(0.05)


async def test_one_trace_leads_from_the_request_over_the_job_to_the_vendor(
    traced_api: Api, told: InMemorySpanExporter
) -> None:
    vendor = VendorServer(OktaVendor(World(people=4, applications=1, days=1)))
    async with vendor:
        await _synced(traced_api, vendor)
    spans = told.get_finished_spans()
    story = [span for span in spans if span.context and format(span.context.trace_id, "032x") == CALLERS_TRACE]
    request = next(span for span in story if span.kind is SpanKind.SERVER)
    job = next(span for span in story if span.kind is SpanKind.CONSUMER)
    calls = [span for span in story if span.kind is SpanKind.CLIENT]
    assert request.name == "POST /v1/instances/{instance_id}/launch"
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/v1/instances/{instance_id}/launch",
        "http.response.status_code": 202,
        "http.response.header.x-request-id": ("the-callers-own",),
    }
    assert job.name == "process sync"
    assert job.parent is not None
    assert request.context is not None
    assert job.parent.span_id == request.context.span_id
    listing = [dict(call.attributes or {}) for call in calls]
    users = next(each for each in listing if str(each["url.full"]).endswith("/api/v1/users"))
    assert (users["http.request.method"], users["http.response.status_code"]) == ("GET", 200)
    assert all(call.parent and job.context and call.parent.span_id == job.context.span_id for call in calls)
    assert [each["url.full"] for each in listing if "?" in str(each["url.full"])] == []
    text = everything(spans)
    assert [secret for secret in (traced_api.key, vendor.credentials.api_token) if str(secret) in text] == []


async def test_an_attempt_at_a_webhook_tells_the_host_and_not_the_path(
    traced_api: Api, told: InMemorySpanExporter
) -> None:
    async with receiving() as receiver:
        receiver.behave = lambda _message: Reply(503)
        auth = {"type": "bearer", "secret": "canary-of-the-bearer"}
        body = {
            "name": "Chat",
            "url": f"{receiver.url}/hooks/canary-of-the-path?key=canary-of-the-query",
            "events": ["sync.failed"],
            "auth": auth,
        }
        made = await traced_api.post("/v1/webhooks", json=body)
        assert made.status_code == 201, made.text
        await traced_api.post(f"/v1/webhooks/{made.json()['id']}/test")
        assert receiver.messages
    attempt = next(span for span in told.get_finished_spans() if span.name == "POST webhook")
    facts = dict(attempt.attributes or {})
    assert facts["server.address"] == "127.0.0.1"
    assert (facts["http.response.status_code"], facts["error.type"]) == (503, "503")
    assert facts["messaging.message.id"] == receiver.messages[0].id
    assert attempt.status.status_code is StatusCode.ERROR
    assert "canary" not in everything(told.get_finished_spans())
    assert made.json()["signing_secret"] not in everything(told.get_finished_spans())


async def test_a_secret_in_the_wrong_place_of_a_request_is_not_told(
    traced_api: Api, told: InMemorySpanExporter
) -> None:
    """Typed into the path, the query or the method by mistake."""
    await traced_api.get("/v1/canary-1?x=canary-2", headers={"Authorization": "Bearer canary-3", "Cookie": "canary-4"})
    await traced_api.request("CANARY", "/v1/instances")
    await traced_api.get("/healthz")
    first, second = told.get_finished_spans()
    assert "canary" not in everything((first, second)).lower()
    assert (first.name, second.name) == ("GET", "_OTHER /v1/instances")


async def test_a_fault_is_told_by_its_kind_alone(
    traced_api: Api, told: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        async def authenticate(self, authorization: str | None) -> Any:
            raise RuntimeError("canary")

    monkeypatch.setattr(traced_api.app.state, "authentication", Broken())
    with structlog.testing.capture_logs():
        answer = await traced_api.get("/v1/accounts")
    (span,) = told.get_finished_spans()
    assert answer.status_code == 500
    assert (dict(span.attributes or {})["error.type"], span.status.status_code) == ("500", StatusCode.ERROR)
    sent = httpx.Request("GET", "https://user:canary@vendor.example.com:8443/path?token=canary")
    with pytest.raises(ConnectionError), tracing.vendor_call(sent, sent.url.path):
        raise ConnectionError("canary")
    lost = told.get_finished_spans()[-1]
    facts = dict(lost.attributes or {})
    assert (facts["error.type"], facts["url.full"]) == ("ConnectionError", "https://vendor.example.com:8443/path")
    assert not lost.events
    assert "canary" not in everything(told.get_finished_spans())


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "é"])
async def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(
    traced_api: Api, told: InMemorySpanExporter, traceparent: str
) -> None:
    answer = await traced_api.get("/v1/connectors", headers={"traceparent": traceparent.encode()})
    assert answer.status_code == 200
    assert told.get_finished_spans()[0].parent is None


async def test_log_lines_name_the_trace(told: InMemorySpanExporter) -> None:
    with tracing.request("GET", "https", {"traceparent": TRACEPARENT}):
        assert structlog.contextvars.get_contextvars()["trace_id"] == CALLERS_TRACE
    assert "trace_id" not in structlog.contextvars.get_contextvars()


async def _payload(runtime: Runtime) -> dict[str, Any]:
    async with runtime.database.session() as session:
        await enqueue(session, "nothing", {"a": 1})
    payload = await runtime.database.pool.fetchval(
        "DELETE FROM pgqueuer WHERE entrypoint = 'nothing' RETURNING payload"
    )
    content: dict[str, Any] = msgspec.json.decode(payload)
    return content


async def test_off_nothing_is_in_the_way(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    async with tracing.traced(runtime.process_id):
        assert not tracing.is_on()
        assert "Traced" not in [layer.cls.__name__ for layer in create_app(runtime).user_middleware]  # type: ignore[attr-defined]  # a class, typed as a factory
        with tracing.vendor_call(httpx.Request("GET", "https://vendor.example.com"), "/") as span:
            assert span is None
        assert await _payload(runtime) == {"a": 1}


async def test_a_job_that_nobody_asked_for_in_a_trace_carries_none(
    told: InMemorySpanExporter, runtime: Runtime
) -> None:
    assert await _payload(runtime) == {"a": 1}
    with tracing.request("GET", "https", {"traceparent": TRACEPARENT}):
        assert CALLERS_TRACE in (await _payload(runtime))["traceparent"]


class Collector:
    """Takes what is exported; slowly, where that is asked for."""

    def __init__(self, delay_s: float = 0) -> None:
        self.bodies: list[bytes] = []
        self.delay_s = delay_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await asyncio.sleep(self.delay_s)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_spans_reach_a_collector(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    with Loopback(collector) as served:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", served.base_url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "seats-of-the-north")
        async with tracing.traced(runtime.process_id):
            with tracing.request("GET", "https", {}) as span:
                tracing.served(span, "GET", "/v1/accounts", 200, "r")
    sent = b"".join(collector.bodies)
    assert b"GET /v1/accounts" in sent
    assert b"seats-of-the-north" in sent
    assert str(runtime.process_id).encode() in sent


async def test_without_the_package_it_says_so_and_is_off(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with structlog.testing.capture_logs() as lines:
        async with tracing.traced(runtime.process_id):
            assert not tracing.is_on()
    assert [line["event"] for line in lines] == ["tracing.not_installed"]


async def test_a_process_tells_its_requests(database_url: str, tmp_path: Path) -> None:
    collector = Collector()
    with Loopback(collector) as served:
        settings = environment(database_url, tmp_path, generate_key(), OTEL_EXPORTER_OTLP_ENDPOINT=served.base_url)
        async with replicas(1, settings, tmp_path) as (replica,), httpx.AsyncClient() as client:
            await Caller([replica], client).call("GET", "/v1/connectors")
            assert await asyncio.to_thread(replica.stop) == 0
    assert b"GET /v1/connectors" in b"".join(collector.bodies)
    assert ADMIN_KEY.encode() not in b"".join(collector.bodies)


async def test_a_collector_that_does_not_answer_delays_the_end_a_little_only(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "LAST_SPANS_S", 0.1)
    with Loopback(Collector(delay_s=0.8)) as served:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", served.base_url)
        async with tracing.traced(runtime.process_id):
            with tracing.request("GET", "https", {}):
                pass
            began = time.monotonic()
        assert time.monotonic() - began < 0.6
