"""Where runs go: mails with a file or a link, webhooks; each by itself."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import openpyxl
import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.activity.keyset import fetch_in
from app.models import ReportRun
from app.reports import outputs as sending
from app.reports.mails import post_reports
from app.reports.outputs import outputs_of
from app.sync.runtime import Runtime
from tests.api.books import Books
from tests.conftest import Api
from tests.messages.smtp import MailSink, mail_sink
from tests.reports.answering import AWKWARD, answered, downloaded, many_seats, of, parsed, read, seats

MAX = 5 * 1024 * 1024


@pytest_asyncio.fixture
async def sink(runtime: Runtime) -> AsyncIterator[MailSink]:
    await runtime.database.pool.execute("DELETE FROM reports")
    async with mail_sink() as opened:
        yield opened


@pytest.fixture
def posted(runtime: Runtime, sink: MailSink) -> Runtime:
    """A process that has a mail server."""
    settings = runtime.settings.model_copy(
        update={"smtp_url": SecretStr(sink.url), "public_url": "http://seatwise.test/"}
    )
    return Runtime(settings, runtime.database, runtime.vault)


@pytest.fixture
def books(runtime: Runtime) -> Books:
    return Books(runtime.database)


def mail(*to: str, format_: str = "csv", most: int = MAX) -> dict[str, Any]:
    return {"type": "email", "to": list(to), "format": format_, "max_attachment_bytes": most}


async def webhook(runtime: Runtime, **columns: Any) -> UUID:
    webhook_id = uuid4()
    row = {"status": "enabled", **columns}
    await runtime.database.pool.execute(
        "INSERT INTO webhooks (id, name, url, auth, sealed, sealed_signing, max_message_bytes, link_ttl_seconds,"
        " max_concurrency, status) VALUES ($1, 'Hook', 'https://example.com', '{\"type\": \"none\"}', '', '', 262144,"
        " 60, 1, $2)", webhook_id, row["status"],
    )  # fmt: skip
    return webhook_id


async def told(runtime: Runtime, run: ReportRun) -> list[tuple[str, str | None]]:
    async with runtime.database.session() as session:
        found = await outputs_of(fetch_in(session), [await read(runtime, run.id)])
    return [(output["status"], output["detail"]) for output in found[run.id]]


def attached(received: Any) -> Any:
    (attachment,) = received.iter_attachments()
    return attachment


async def test_a_small_run_is_attached(posted: Runtime, books: Books, sink: MailSink) -> None:
    application = await seats(books, [*AWKWARD, "x" * 5000])
    outputs = [mail("ada@example.com", "Ada@example.com", "eve@example.com")]
    run = await answered(posted, name="Unused Okta seats", filters=of(application), sort=["name"], outputs=outputs)
    assert await told(posted, run) == [("pending", None)]
    await post_reports(posted)
    await post_reports(posted)
    assert sorted(sink.addressed()) == ["ada@example.com", "eve@example.com"]
    assert await told(posted, run) == [("delivered", None)]
    received: Any = sink.received[0]
    assert received["Subject"] == "Unused Okta seats"
    plain = received.get_body(("plain",)).get_content()
    assert run.window is not None
    assert f"Rows: {run.total_rows}" in plain
    assert f"{run.window['from']} to {run.window['to']}" in plain
    attachment = attached(received)
    assert attachment.get_content_type() == "text/csv"
    assert attachment.get_filename() == f"Unused Okta seats {run.as_of:%Y-%m-%d}.csv"
    content = attachment.get_payload(decode=True)
    assert content == await downloaded(posted, run, "csv")
    assert len(parsed(content)) == len(AWKWARD) + 2


async def test_a_workbook_is_attached(posted: Runtime, books: Books, sink: MailSink) -> None:
    outputs = [mail("ada@example.com", format_="xlsx")]
    await answered(posted, filters=of(await seats(books, ["Ada"])), outputs=outputs)
    await post_reports(posted)
    content = attached(sink.received[0]).get_payload(decode=True)
    assert openpyxl.load_workbook(io.BytesIO(content))["Report"]["A2"].value == "Ada"


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
async def test_a_large_run_is_a_link(posted: Runtime, api: Api, books: Books, sink: MailSink, format_: str) -> None:
    outputs = [mail("ada@example.com", format_=format_, most=4000)]
    run = await answered(posted, columns=["name", "email"], filters=of(await many_seats(books, 1000)), outputs=outputs)
    await post_reports(posted)
    received: Any = sink.received[0]
    assert list(received.iter_attachments()) == []
    plain = received.get_body(("plain",)).get_content()
    (link,) = [line for line in plain.splitlines() if line.startswith("http://seatwise.test/links/")]
    got = await api.anonymous().get(link)
    assert got.content == await downloaded(posted, run, "csv" if format_ == "csv" else "xlsx")
    assert (await api.anonymous().get(link + "x")).status_code == 403


async def test_a_mail_is_tried_again_and_stays_the_same(posted: Runtime, books: Books, sink: MailSink) -> None:
    run = await answered(posted, filters=of(await seats(books, ["Ada"])), outputs=[mail("ada@example.com")])
    sink.answers = {"END": ["451 later"]}
    await post_reports(posted)
    assert await told(posted, run) == [("pending", "451 later")]
    assert sink.received == []
    pool = posted.database.pool
    message_id = await pool.fetchval("SELECT message_id FROM report_emails WHERE run_id = $1", run.id)
    await pool.execute("UPDATE report_emails SET next_attempt_at = now()")
    await post_reports(posted)
    assert [received["Message-ID"] for received in sink.received] == [message_id]
    assert await told(posted, run) == [("delivered", None)]


async def test_an_address_that_is_refused_stops_no_other(posted: Runtime, books: Books, sink: MailSink) -> None:
    outputs = [mail("bad@example.com"), mail("good@example.com")]
    run = await answered(posted, filters=of(await seats(books, ["Ada"])), outputs=outputs)
    sink.answers = {"RCPT": ["550 no such user"]}
    await post_reports(posted)
    assert await told(posted, run) == [("failed", "550 no such user"), ("delivered", None)]
    assert sink.addressed() == ["good@example.com"]


async def test_without_a_mail_server_mails_are_recorded(runtime: Runtime, books: Books) -> None:
    run = await answered(runtime, filters=of(await seats(books, ["Ada"])), outputs=[mail("ada@example.com")])
    await post_reports(runtime)
    ((status, detail),) = await told(runtime, run)
    assert (status, detail) == ("recorded", "Not sent: SEATWISE_SMTP_URL is not set.")


async def test_webhooks_get_their_deliveries_and_broken_ones_are_told(
    posted: Runtime, books: Books, sink: MailSink
) -> None:
    good, disabled = await webhook(posted), await webhook(posted, status="disabled")
    hooks = [{"type": "webhook", "webhook_id": str(each)} for each in (good, disabled, uuid4())]
    run = await answered(posted, filters=of(await seats(books, ["Ada"])), outputs=[*hooks, mail("ada@example.com")])
    assert run.status == "succeeded"
    found = await told(posted, run)
    assert [status for status, _ in found] == ["pending", "failed", "failed", "pending"]
    assert "disabled" in (found[1][1] or "")
    pool = posted.database.pool
    sent = await pool.fetch("SELECT webhook_id, status FROM deliveries WHERE run_id = $1", run.id)
    assert {tuple(row) for row in sent} == {(good, "pending"), (disabled, "failed")}
    await pool.execute("UPDATE deliveries SET status = 'succeeded' WHERE run_id = $1", run.id)
    assert (await told(posted, run))[0] == ("delivered", None)
    await pool.execute("UPDATE deliveries SET status = 'failed' WHERE run_id = $1", run.id)
    assert (await told(posted, run))[0][0] == "failed"
    await pool.execute("DELETE FROM webhooks WHERE id = $1", good)
    assert (await told(posted, run))[0][0] == "unknown"


async def test_a_fault_in_one_output_keeps_the_rows_and_the_mails(
    posted: Runtime, books: Books, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(connection: Any, *_given: Any) -> None:
        await connection.execute("SELECT 1 / 0")

    monkeypatch.setattr(sending, "deliver_run", broken)
    outputs = [mail("ada@example.com"), {"type": "webhook", "webhook_id": str(await webhook(posted))}]
    run = await answered(posted, filters=of(await seats(books, ["Ada"])), outputs=outputs)
    assert (run.status, run.total_rows) == ("succeeded", 1)
    await post_reports(posted)
    assert [status for status, _ in await told(posted, run)] == ["delivered", "failed"]


async def test_a_run_that_failed_sends_nothing(posted: Runtime, sink: MailSink) -> None:
    run = await answered(posted, columns=["fields.gone"], outputs=[mail("ada@example.com")])
    await post_reports(posted)
    assert sink.received == []
    assert [status for status, _ in await told(posted, run)] == ["failed"]
