"""What every request meets, whatever it asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
import structlog
from fastapi import APIRouter
from sqlalchemy import text
from starlette.types import Message, Receive, Scope, Send

from app.api.deps import Session, Viewer
from app.api.unit_of_work import Route
from app.core.database import Database, open_database
from app.core.errors import Unavailable, VendorUnavailable
from app.core.logging import configure
from app.main import create_app
from app.sync.runtime import Runtime
from tests.api.problems import assert_problem
from tests.conftest import Api


async def test_an_unknown_path_is_a_problem(api: Api) -> None:
    for path in ("/v1/nothing", "/healthz/", "/", "/v1", "/docs/assets/none.js"):
        assert_problem(await api.get(path), 404)


async def test_a_missing_method_names_those_that_exist(api: Api) -> None:
    response = await api.post("/healthz")
    assert_problem(response, 405)
    assert response.headers["allow"] == "GET"
    response = await api.put("/v1/api-keys/x")
    assert_problem(response, 405)
    assert response.headers["allow"] == "DELETE, GET"


async def test_the_log_has_of_a_path_what_is_ours(api: Api) -> None:
    known = "01990000-0000-7000-8000-000000000000"
    with structlog.testing.capture_logs() as logs:
        for method, path in (
            ("GET", f"/v1/instances/{known}/syncs"),
            ("GET", "/v1/connectors/00s3cr3t"),
            ("GET", "/v1/00s3cr3t?token=00s3cr3t"),
            ("00S3CR3T", "/00s3cr3t/v1/people"),
        ):
            await api.request(method, path)
    told = [(line["method"], line["path"]) for line in logs if line["event"] == "request"]
    assert told == [
        ("GET", f"/v1/instances/{known}/syncs"),
        ("GET", "/v1/connectors/***"),
        ("GET", "/v1/***"),
        ("other", "/***/v1/people"),
    ]


async def test_a_name_that_is_a_secret_is_not_repeated(api: Api) -> None:
    secret = "00k4T9wZ1nKcQ7mB2xR8vL5pY3"
    for response in (
        await api.post("/v1/fields", json={secret: 1}),
        await api.post("/v1/credentials", json={"name": "x", "connector": "okta", "scheme": "api_token", secret: {}}),
        await api.get("/v1/accounts", params={secret: "1"}),
    ):
        assert secret not in str(assert_problem(response, 422)["errors"])


@pytest.mark.parametrize("secret", ["sw_a-key-that-only-this-test-knows", "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"])
async def test_a_request_id_that_is_a_secret_is_not_kept(api: Api, secret: str) -> None:
    response = await api.get("/healthz", headers={"X-Request-Id": secret})
    assert secret not in str(response.headers)


@pytest.mark.parametrize("sent", ["abc-1_2.3", "x" * 128])
async def test_a_sent_request_id_is_kept(api: Api, sent: str) -> None:
    response = await api.get("/healthz", headers={"X-Request-Id": sent})
    assert response.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", [b"", b"a b", b"x" * 129, b"\xc3\xa9", b"a\n"])
async def test_a_request_id_that_cannot_be_kept_is_replaced(api: Api, sent: bytes) -> None:
    response = await api.get("/healthz", headers={"X-Request-Id": sent})
    assert response.headers["x-request-id"].encode() not in {b"", sent}


async def test_health_asks_for_no_key_and_readiness_for_a_tick(api: Api) -> None:
    nobody = api.anonymous()
    assert (await nobody.get("/healthz")).json() == {"status": "ok"}
    waiting = await nobody.get("/readyz")
    assert assert_problem(waiting, 503)["checks"][0]["name"] == "scheduler"
    assert int(waiting.headers["retry-after"]) > 0
    tick = "INSERT INTO ticks (process, at) VALUES (gen_random_uuid(), now() - make_interval(secs => $1))"
    await api.runtime.database.pool.execute(tick, 31)
    assert (await nobody.get("/readyz")).status_code == 503
    await api.runtime.database.pool.execute(tick, 5)
    assert (await nobody.get("/readyz")).json() == {"status": "ready"}


async def test_metrics_count_by_the_template_of_a_route(api: Api) -> None:
    await api.get("/v1/connectors/pingone")
    metrics = (await api.anonymous().get("/metrics")).text
    line = 'seatwise_http_requests_total{method="GET",route="/v1/connectors/{key}",status="200"}'
    assert line in metrics
    assert "pingone" not in metrics
    names = {line.split("{")[0].split(" ")[0] for line in metrics.splitlines() if line and line[0] != "#"}
    assert all(name.startswith("seatwise_") for name in names)


async def test_a_body_beyond_the_limit_is_a_413(api: Api) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1024 * 1024

    headers = {"Content-Type": "application/json"}
    assert_problem(await api.post("/v1/api-keys", content=b" " * (4 * 1024 * 1024 + 1), headers=headers), 413)
    assert_problem(await api.post("/v1/api-keys", content=stream(), headers=headers), 413)


async def test_the_documentation_loads_nothing_from_elsewhere(api: Api) -> None:
    page = (await api.anonymous().get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{asset}" in page
        assert (await api.anonymous().get(f"/docs/assets/{asset}")).status_code == 200


async def test_the_description_is_written_once(api: Api) -> None:
    first = await api.anonymous().get("/openapi.json")
    assert first.headers["content-type"] == "application/json"
    again = await api.anonymous().get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_no_other_page_frames_the_documentation_or_guesses_what_an_answer_is(api: Api) -> None:
    page = await api.anonymous().get("/docs")
    assert (page.headers["x-frame-options"], page.headers["content-security-policy"]) == (
        "DENY", "frame-ancestors 'none'",
    )  # fmt: skip
    assert "persistAuthorization" not in page.text
    for path in ("/docs", "/v1/connectors", "/nowhere"):
        assert (await api.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_while_draining_nothing_new_is_begun(api: Api) -> None:
    api.app.state.gate.draining = True
    try:
        response = await api.get("/v1/connectors")
        assert (await api.get("/healthz")).status_code == 200
    finally:
        api.app.state.gate.draining = False
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) > 0


async def test_a_named_origin_reads_refusals_too(api: Api) -> None:
    settings = api.runtime.settings.model_copy(update={"cors_origins": ("https://front.example.com",)})
    app = create_app(replace(api.runtime, settings=settings))
    app.include_router(faulty)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test") as client:
        headers = {"Authorization": f"Bearer {api.key}", "Origin": "https://front.example.com"}
        answers = [await client.get("/v1/faulty/bug", headers=headers)]
        app.state.gate.draining = True
        answers.append(await client.get("/v1/connectors", headers=headers))
        preflight = {**headers, "Access-Control-Request-Method": "GET"}
        answers.append(await client.options("/v1/connectors", headers=preflight))
    assert [answer.status_code for answer in answers] == [500, 503, 200]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://front.example.com"
        assert answer.headers["x-request-id"]


async def test_only_named_origins_may_read(api: Api) -> None:
    settings = api.runtime.settings.model_copy(update={"cors_origins": ("https://front.example.com",)})
    app = create_app(replace(api.runtime, settings=settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test") as client:
        named = await client.get("/healthz", headers={"Origin": "https://front.example.com"})
        other = await client.get("/healthz", headers={"Origin": "https://evil.example.com"})
        refused = await client.get("/v1/connectors", headers={"Origin": "https://front.example.com"})
    assert named.headers["access-control-allow-origin"] == "https://front.example.com"
    assert "ETag" in named.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers
    assert refused.headers["access-control-allow-origin"] == "https://front.example.com"
    assert (
        "access-control-allow-origin"
        not in (await api.get("/healthz", headers={"Origin": "https://x.example"})).headers
    )


IN_THE_PATH = "https://x.example/" + "secret-of-ours"
faulty = APIRouter(prefix="/v1/faulty", route_class=Route)


@faulty.get("/bug")
async def bug(_caller: Viewer) -> None:
    raise RuntimeError("secret-of-ours")


@faulty.get("/vendor")
async def vendor(_caller: Viewer) -> None:
    raise VendorUnavailable("The vendor does not answer.")


@faulty.get("/range")
async def out_of_range(_caller: Viewer, session: Session) -> None:
    await session.execute(text("SELECT CAST(:n AS bigint)"), {"n": 2**80})


@faulty.get("/overflow")
async def overflow(_caller: Viewer, session: Session) -> None:
    await session.execute(text("SELECT 2147483647 + CAST(:n AS int)"), {"n": 1})


@faulty.get("/nowhere")
async def nowhere(_caller: Viewer, session: Session) -> None:
    await session.execute(text("INSERT INTO nowhere VALUES (:url)"), {"url": IN_THE_PATH})


@faulty.get("/good-bye")
async def good_bye(_caller: Viewer) -> None:
    raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")


@faulty.post("/half")
async def half(_caller: Viewer, session: Session) -> None:
    await session.execute(text("INSERT INTO catalog (key, name) VALUES ('half', 'half')"))
    raise RuntimeError


@faulty.post("/twice")
async def twice(_caller: Viewer, session: Session) -> None:
    for _ in range(2):
        await session.execute(text("INSERT INTO catalog (key, name) VALUES ('twice', 'twice')"))


@pytest.fixture
def faults(api: Api) -> Api:
    app = create_app(api.runtime)
    app.include_router(faulty)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test")
    return replace(api, client=client, app=app)


async def test_a_fault_of_ours_tells_nothing_but_the_id(faults: Api) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await faults.get("/v1/faulty/bug", headers={"X-Request-Id": "the-bug"})
    assert assert_problem(response, 500)["request_id"] == "the-bug"
    assert "secret-of-ours" not in response.text
    assert [line["log_level"] for line in logs if line["event"] == "request_failed"] == ["error"]


@pytest.mark.usefixtures("logging_restored")
async def test_a_fault_of_the_database_logs_no_values(faults: Api, capsys: pytest.CaptureFixture[str]) -> None:
    configure(faults.runtime.settings.model_copy(update={"log_format": "json"}))
    assert_problem(await faults.get("/v1/faulty/nowhere"), 500)
    shown = capsys.readouterr().err
    assert "INSERT INTO nowhere" in shown
    assert "secret-of-ours" not in shown


async def test_bad_values_and_vendors_are_no_fault_of_ours(faults: Api) -> None:
    assert_problem(await faults.get("/v1/faulty/range"), 422)
    assert_problem(await faults.get("/v1/faulty/overflow"), 422)
    assert assert_problem(await faults.get("/v1/faulty/vendor"), 502)["code"] == "vendor_unavailable"
    assert int((await faults.get("/v1/faulty/good-bye")).headers["retry-after"]) > 0
    assert_problem(await faults.post("/v1/faulty/twice"), 409)


async def test_what_fails_leaves_nothing_behind(faults: Api) -> None:
    assert_problem(await faults.post("/v1/faulty/half"), 500)
    assert await faults.runtime.database.pool.fetchval("SELECT count(*) FROM catalog WHERE key = 'half'") == 0


async def test_without_a_database_it_is_a_503(api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = await open_database(database_url, size=2)
    app = create_app(replace(api.runtime, database=database))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test") as client:
        gone = replace(api, client=client, app=app)
        await database.close()
        response = await gone.get("/v1/credentials")
        assert_problem(response, 503)
        assert int(response.headers["retry-after"]) > 0
        assert (await client.get("/healthz")).status_code == 200
        assert assert_problem(await client.get("/readyz"), 503)["checks"][0]["name"] == "database"


async def test_an_unreachable_server_is_named_at_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="SEATWISE_DATABASE_URL"):
        await open_database(f"postgresql://seatwise@/seatwise?host={tmp_path}", size=1)


async def _lifespan(runtime: Runtime, **kwargs: object) -> list[str]:
    """Start and stop the application as a server does; what it answered."""
    waiting: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    scope: Scope = {"type": "lifespan", "state": {}, "app": None}
    served: tuple[Scope, Receive, Send] = (scope, receive, send)
    await create_app(runtime, **kwargs)(*served)  # type: ignore[arg-type]  # keywords are create_app's own
    return sent


async def test_the_key_of_the_setting_works_after_each_start(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str] = []

    @asynccontextmanager
    async def worker() -> AsyncIterator[None]:
        ran.append("began")
        yield
        ran.append("ended")

    for _ in range(2):
        assert await _lifespan(api.runtime, background=[worker]) == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]
    assert ran == ["began", "ended"] * 2
    assert capsys.readouterr().out == ""
    assert api.runtime.settings.admin_key is not None
    first = api.with_key(api.runtime.settings.admin_key.get_secret_value())
    keys = (await first.get("/v1/api-keys?limit=200")).json()["items"]
    assert [key["email"] for key in keys if key["name"] == "admin"] == ["admin@example.com"]


async def test_a_generated_key_is_printed_once(
    api: Api, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await database.pool.execute("TRUNCATE api_keys")
    unset = replace(api.runtime, settings=api.runtime.settings.model_copy(update={"admin_key": None}))
    await _lifespan(unset)
    printed = capsys.readouterr().out
    await _lifespan(unset)
    assert capsys.readouterr().out == ""
    key = printed.split()[-1]
    assert (await api.with_key(key).get("/v1/api-keys")).json()["items"][0]["role"] == "admin"
