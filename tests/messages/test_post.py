"""Notifications reach people by mail, once, whatever the mail server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr, ValidationError

from app.core.database import Database
from app.core.ids import new_id
from app.core.settings import Settings
from app.notifications.mail import MailServer
from app.notifications.notify import notify
from app.notifications.post import deliver, wait_after
from tests.messages.smtp import MailSink, mail_sink


@pytest_asyncio.fixture
async def sink(database: Database) -> AsyncIterator[MailSink]:
    await database.pool.execute("DELETE FROM notifications")
    async with mail_sink() as opened:
        yield opened


@pytest.fixture
def with_mail(settings: Settings, sink: MailSink) -> Settings:
    return settings.model_copy(update={"smtp_url": SecretStr(sink.url), "public_url": "https://seatwise.example.com/"})


async def tell(database: Database, *addresses: str, key: str | None = None, **more: Any) -> bool:
    async with database.transaction() as connection:
        return await notify(
            connection,
            "sync_failed",
            key=key or f"k{new_id()}",
            also=addresses,
            **{"instance_id": None, "subject": "Okta: the sync failed", "text": "It is <down>.\n\nWait & see.", **more},
        )


async def mails(database: Database) -> dict[str, Any]:
    rows = await database.pool.fetch("SELECT address, status, attempts, error FROM notification_emails")
    return {row["address"]: (row["status"], row["attempts"], row["error"]) for row in rows}


async def make_due(database: Database) -> None:
    await database.pool.execute("UPDATE notification_emails SET next_attempt_at = now()")


async def test_a_mail_is_text_and_html_and_says_where_to_look(
    database: Database, with_mail: Settings, sink: MailSink
) -> None:
    instance_id = new_id()
    await tell(database, "ada@example.com", instance_id=instance_id, subject="Okta:\r\nBcc: eve@example.com")
    await deliver(database, with_mail)
    (mail,) = sink.received
    assert (mail["To"], mail["From"]) == ("ada@example.com", "seatwise@localhost")
    assert mail["Subject"] == "Okta: Bcc: eve@example.com"
    assert mail["Bcc"] is None
    assert mail["List-Unsubscribe"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    plain: Any = mail.get_body(("plain",))
    html: Any = mail.get_body(("html",))
    assert "It is <down>." in plain.get_content()
    assert f"https://seatwise.example.com/v1/instances/{instance_id}" in plain.get_content()
    assert "<p>It is &lt;down&gt;.</p>" in html.get_content()
    assert (await mails(database))["ada@example.com"] == ("sent", 1, None)


async def test_each_address_gets_one_mail_however_often_it_is_told(
    database: Database, with_mail: Settings, sink: MailSink
) -> None:
    assert await tell(database, "ada@example.com", "ADA@example.com", "nobody", "bob@example.com", key="once")
    assert not await tell(database, "ada@example.com", key="once")
    await asyncio.gather(*(deliver(database, with_mail) for _ in range(3)))
    await deliver(database, with_mail)
    assert sorted(sink.addressed()) == ["ada@example.com", "bob@example.com"]


async def test_a_server_that_is_down_then_busy_then_well_gets_exactly_one_mail(
    database: Database, with_mail: Settings, sink: MailSink
) -> None:
    await tell(database, "ada@example.com")
    down = with_mail.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1:9")})
    await deliver(database, down)
    status, attempts, error = (await mails(database))["ada@example.com"]
    assert (status, attempts) == ("pending", 1)
    assert "cannot be reached" in error
    for verb, answer in {
        "CONNECT": "421 busy",
        "MAIL": "451 busy",
        "RCPT": "450 greylisted",
        "END": "452 full",
    }.items():
        await make_due(database)
        sink.answers = {verb: [answer]}
        await deliver(database, with_mail)
        assert (await mails(database))["ada@example.com"][0] == "pending", verb
    assert sink.received == []
    await make_due(database)
    await deliver(database, with_mail)
    await make_due(database)
    await deliver(database, with_mail)
    assert sink.addressed() == ["ada@example.com"]
    assert (await mails(database))["ada@example.com"] == ("sent", 6, None)


async def test_a_repeated_mail_bears_the_same_message_id(
    database: Database, with_mail: Settings, sink: MailSink
) -> None:
    await tell(database, "ada@example.com")
    await deliver(database, with_mail)
    await database.pool.execute("UPDATE notification_emails SET status = 'pending', next_attempt_at = now()")
    await deliver(database, with_mail)
    assert len({mail["Message-ID"] for mail in sink.received}) == 1
    assert len({mail["Date"] for mail in sink.received}) == 1
    assert len(sink.received) == 2


async def test_an_attempt_waits_for_its_turn(database: Database, with_mail: Settings, sink: MailSink) -> None:
    await tell(database, "ada@example.com")
    sink.answers = {"MAIL": ["451 later"]}
    await deliver(database, with_mail)
    await deliver(database, with_mail)
    assert sink.received == []
    assert [wait_after(n).total_seconds() for n in (1, 2, 3, 7, 900)] == [5, 10, 20, 300, 300]


async def test_an_address_that_is_refused_for_good_fails_and_stops_no_other(
    database: Database, with_mail: Settings, sink: MailSink
) -> None:
    sink.answers = {"RCPT": ["550 no such user"]}
    await tell(database, "gone@example.com")
    await tell(database, "ada@example.com")
    await deliver(database, with_mail)
    found = await mails(database)
    assert found["gone@example.com"] == ("failed", 1, "550 no such user")
    assert found["ada@example.com"][0] == "sent"


async def test_after_three_days_a_mail_is_given_up(database: Database, with_mail: Settings, sink: MailSink) -> None:
    await tell(database, "ada@example.com")
    await database.pool.execute("UPDATE notification_emails SET created_at = now() - $1::interval", timedelta(days=3))
    sink.answers = {"MAIL": ["451 later"]}
    await deliver(database, with_mail)
    assert (await mails(database))["ada@example.com"][0] == "failed"


async def test_without_a_mail_server_mails_are_recorded(database: Database, settings: Settings, sink: MailSink) -> None:
    await tell(database, "ada@example.com")
    await deliver(database, settings)
    assert (await mails(database))["ada@example.com"][0] == "recorded"
    assert sink.received == []


async def test_a_server_that_says_nothing_lets_the_process_go(
    database: Database, with_mail: Settings, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.notifications.mail.STEP_S", 0.2)
    sink.hang = True
    await tell(database, "ada@example.com")
    async with asyncio.timeout(5):
        await deliver(database, with_mail)
    assert (await mails(database))["ada@example.com"][0] == "pending"


def test_the_url_of_the_mail_server() -> None:
    server = MailServer.from_url("smtp://us%40er:p%2Fw@mail.example.com:2525?starttls=true")
    assert (server.host, server.port, server.tls) == ("mail.example.com", 2525, "starttls")
    assert (server.user, server.password) == ("us@er", "p/w")
    assert "p/w" not in repr(server)
    assert MailServer.from_url("smtps://mail.example.com") == MailServer("mail.example.com", 465, "tls")
    assert MailServer.from_url("smtp://mail.example.com") == MailServer("mail.example.com", 25)
    assert MailServer.from_url("smtp://mail.example.com?starttls=true").port == 587


@pytest.mark.parametrize(
    "url", ["smtp://:s3cret@", "smtp://h:x", "smtp://h?tls=s3cret", "smtp://h?starttls=s3cret", "s3cret"]
)
def test_a_bad_url_is_told_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="SEATWISE_SMTP_URL") as told:
        MailServer.from_url(url)
    assert "s3cret" not in str(told.value)


def test_settings_refuse_what_is_no_mail_server() -> None:
    with pytest.raises(ValidationError, match="smtps"):
        Settings(_env_file=None, smtp_url="http://mail.example.com")
    assert Settings(_env_file=None, smtp_url="").smtp_url is None
