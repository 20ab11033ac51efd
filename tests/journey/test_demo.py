"""The demo tells its whole story by itself, tells the truth, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest

from app.demo.costs import PRICES
from app.demo.mailbox import mailbox
from app.demo.vendors.sailpoint import CLIENT_ID, CLIENT_SECRET
from app.demo.vendors.world import World
from app.notifications.mail import MailServer, compose, send

SMALL: dict[str, Any] = {"people": 120, "applications": 8, "days": 40, "activity": 1.0}
TINY: dict[str, Any] = {"people": 20, "applications": 4, "days": 35, "activity": 1.0}
WINDOW_DAYS = 30
PAGE_BYTES = 8 * 1024  # so that small worlds have several pages
Start = Callable[..., subprocess.Popen[str]]
COLUMNS = ["Application", "Seats", "Used", "Unused", "Unknown"]
BILL_COLUMNS = ["Application", "Seats bought", "Used", "Unused", "Unknown", "Cost of the unused per month"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the demo keeps everything; short, for the path of a socket has little room."""
    with tempfile.TemporaryDirectory(prefix="sw-") as name:
        yield Path(name)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts demos; those that a test that failed has left are ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(folder: Path, *, keep: bool = False, **world: Any) -> subprocess.Popen[str]:
        started.append(demo_in(folder, keep=keep, **world))
        return started[-1]

    yield begin
    for demo in started:
        if demo.poll() is None:
            demo.terminate()
            demo.communicate(timeout=40)


def demo_in(folder: Path, *, keep: bool, **world: Any) -> subprocess.Popen[str]:
    code = (
        "import sys; from app.demo import handing_out; from app.demo.run import main; "
        f"handing_out.PAGE_BYTES = {PAGE_BYTES}; sys.exit(main({keep}, **{world}))"
    )
    places = {"TMPDIR": str(folder), "HOME": str(folder), "COLUMNS": "160", "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **places, "SEATWISE_ADMIN_KEY": "sw_not-for-the-demo", "SEATWISE_DATABASE_URL": "none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def read_until(lines: IO[str] | None, words: str) -> str:
    """All lines up to and with the first that has the words."""
    assert lines is not None
    read = []
    for line in lines:
        read.append(line)
        if words in line:
            return "".join(read)
    pytest.fail(f"{words!r} never came:\n{''.join(read)}")


def left_processes(folder: Path) -> list[str]:
    """Processes that work in the folder or were started with a path in it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(folder) in f"{process.cwd()} {' '.join(process.cmdline())}":
                found.append(process.name())
    return found


def assert_nothing_left(folder: Path) -> None:
    assert left_processes(folder) == []
    assert list(folder.iterdir()) == []


def tables_of(told: str) -> list[tuple[list[str], dict[str, list[Decimal]]]]:
    """Of each table the titles, and the figures of each application."""
    tables: list[tuple[list[str], dict[str, list[Decimal]]]] = []
    for line in told.splitlines():
        cells = [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]
        if line[:1] == "┃":
            tables.append((cells, {}))
        elif line[:1] == "│":
            tables[-1][1][cells[0]] = [Decimal(re.sub("[^0-9.]", "", cell)) for cell in cells[1:]]
    return tables


def true_figures(world: World, label: str) -> list[int]:
    """Seats, used, unused, unknown of one of Okta's applications, for which the whole window is known."""
    (app,) = (a["id"] for a in world.okta.applications if a["label"] == label)
    first = world.now().date() - timedelta(days=WINDOW_DAYS - 1)
    seats = {user for listed, user in world.okta.assignments if listed == app}
    used = {user for use, user, at, _ in world.okta.uses if use == app and at.date() >= first}
    return [len(seats), len(seats & used), len(seats - used), 0]


def assert_second_act(told: str, world: World) -> None:
    """What follows the table: a fifth and more leave one vendor, and another vendor ends its secret."""
    told = told.partition("A day later.")[2]
    left = {user["name"] or user["email"] for user in world.ironclad.users[1:8]}
    named = re.findall(r"Deactivated: (.+), (.+), (.+) and 4 more\.", told)
    assert "7 of 24 users are gone from Ironclad Clickwrap; a sync by itself takes away 20 % at most." in told
    assert "Accounts: 0 created, 0 updated, 7 deactivated, 0 reactivated." in told
    assert len(named) == 1
    assert set(named[0]) <= left
    assert "Inactive now: 7 accounts" in told
    steps = (
        "Ironclad Clickwrap: succeeded after",
        "PingOne: failed after",
        "The instance is inactive: The vendor ",
        "Mail to it-ops@example.com: PingOne: the sync failed",
        "> The vendor ",
        "took the place of the old",
        "PingOne: succeeded after",
        "Mail to it-ops@example.com: PingOne: syncs again",
    )
    places = [told.find(step) for step in steps]
    assert places == sorted(places), told
    assert -1 not in places, told


def assert_third_act(told: str, world: World) -> None:
    """What follows the second act: the bill, the report on its way, and the review."""
    told = told.partition("At the end of the month")[2]
    ((titles, bills),) = tables_of(told)
    assert titles == BILL_COLUMNS
    costs = Decimal(0)
    for (name, figures), price in zip(bills.items(), map(Decimal, PRICES), strict=True):
        seats, used, unused, unknown = true_figures(world, name.removesuffix(" (Okta)"))
        assert figures == [-(-seats // 25) * 25, used, unused, unknown, unused * price]
        costs += unused * price
    assert f"Together {costs:,.2f} EUR a month." in told
    (pages,) = re.findall(r"The receiver got (\d+) pages", told)
    assert int(pages) > 1
    rows = re.findall(r"([\d,]+) rows", told)
    assert len(rows) == 2
    assert len(set(rows)) == 1
    steps = (
        "asked at its test address, so that nothing runs: 200.",
        "has run: ",
        "0 of Ironclad Clickwrap. It proved each page:",
        "webhook-signature: v1,",
        "changed on the way: 401, The signature is not that of the message.",
        "SailPoint's workflow was started ",
        "The last execution: ",
        "SailPoint: the credential works.",
        "“Ledgerly - production” for Ledgerly Production: ",
        "are found in the source.",
        ": keep. ",
        ": revoke. ",
        "proved offline with the published key; issued ",
    )
    places = [told.find(step) for step in steps]
    assert places == sorted(places), told
    assert -1 not in places, told


async def test_the_mailbox_keeps_a_mail_as_it_was_written() -> None:
    async with mailbox() as box:
        mail = compose(
            sender="seatwise@localhost",
            to="ada@example.com",
            subject="Müller: the sync failed",
            text="First.\n\n.. a line that begins with dots\n.",
            html="<p>First.</p>",
            message_id="<1@seatwise>",
            at=datetime.now(UTC),
            link=None,
        )
        await send(MailServer.from_url(box.url), mail)
        kept = await box.next()
    assert (kept.to, kept.subject) == ("ada@example.com", "Müller: the sync failed")
    assert kept.text.split("\n") == ["First.", "", ".. a line that begins with dots", ".", ""]


def test_the_story_is_true_and_leaves_nothing_behind(folder: Path, start: Start) -> None:
    demo = start(folder, **SMALL)
    told, _ = demo.communicate(timeout=90)

    assert demo.returncode == 0, told
    assert_nothing_left(folder)
    titles, figures = tables_of(told)[0]
    assert titles == COLUMNS
    world = World(**SMALL)
    for label in ("Ledgerly Production", world.okta.applications[5]["label"]):
        assert figures[f"{label} (Okta)"] == true_figures(world, label)
    assert [row[2] for row in figures.values()] == sorted((row[2] for row in figures.values()), reverse=True)
    for vendor in ("PingOne", "Okta", "Ironclad Clickwrap"):
        assert f"{vendor}: the credential works." in told
        assert f"{vendor}: succeeded after" in told
    assert "waiting 2 s: the vendor said so" in told
    assert "Ironclad Clickwrap does not tell of use at all: 24 of its 24 seats are unknown, not unused." in told
    humans = {p["profile"]["email"].lower() for p in world.okta.users}
    assert int(re.findall(r"now hold ([\d,]+) people", told)[0].replace(",", "")) > len(humans)
    assert "event" not in told
    assert_second_act(told, world)
    assert_third_act(told, world)


def assert_delivered(api: httpx.Client) -> None:
    """What the receiver and SailPoint's tenant hold is what the run holds."""
    with api:
        (run,) = api.get("/reports").json()["items"]
        (run,) = api.get(f"/reports/{run['id']}/runs").json()["items"]
        rows = [json.loads(line) for line in api.get(f"/report-runs/{run['id']}/rows?format=ndjson").text.splitlines()]
        workflow, warehouse = api.get("/webhooks").json()["items"]
        deliveries = api.get(f"/webhooks/{workflow['id']}/deliveries").json()["items"]
    assert rows
    assert len(rows) == run["total_rows"]
    received = httpx.get(warehouse["url"]).json()
    assert [message["type"] for message in received["messages"]] == ["report.completed"] * len(received["messages"])
    assert [row for message in received["messages"] for row in message["data"]["rows"]] == rows
    assert len(received["refused"]) == 1
    started = sorted(deliveries, key=lambda delivery: int(delivery["page"]))
    inputs = [input_of(workflow["url"], delivery["workflow_execution_id"]) for delivery in started]
    assert [row for given in inputs for row in given["rows"]] == rows


def input_of(trigger_url: str, execution_id: str) -> dict[str, Any]:
    """What the tenant says that an execution was given."""
    tenant = trigger_url.partition("/workflows/")[0]
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    token = httpx.post(f"{tenant}/oauth/token", data=form).json()["access_token"]
    url = f"{tenant}/workflow-executions/v1/{execution_id}/history"
    history = httpx.get(url, headers={"Authorization": f"Bearer {token}"}).json()
    given: dict[str, Any] = history[0]["attributes"]["input"]
    return given


def test_kept_it_stays_up_until_it_is_told_to_end(folder: Path, start: Start) -> None:
    demo = start(folder, keep=True, **TINY)
    told = read_until(demo.stdout, "Ctrl-C ends it")
    requests = [shlex.split(line) for line in told.splitlines() if line.lstrip().startswith("curl ")]
    asked = [(words[2], words[words.index("-X") + 1] if "-X" in words else "GET", words[-1]) for words in requests]
    for header, method, url in asked:
        name, _, value = header.partition(": ")
        assert httpx.request(method, url, headers={name: value}).is_success

    assert len(asked) == 3
    header, _, url = asked[0]
    server, key = url.partition("/v1")[0], header.removeprefix("Authorization: Bearer ")
    notified = httpx.get(f"{server}/v1/notifications", headers={"Authorization": f"Bearer {key}"}).json()["items"]
    mails = [mail for notification in notified for mail in notification["emails"]]
    assert mails == [{"to": "it-ops@example.com", "status": "sent"}] * 2
    words = [sys.executable, "-m", "app.cli", "sync", "Ironclad Clickwrap", "--server", server, "--key", key]
    synced = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert synced.returncode == 0, synced.stderr
    assert "Ironclad Clickwrap: succeeded" in synced.stdout
    assert_delivered(httpx.Client(base_url=f"{server}/v1", headers={"Authorization": f"Bearer {key}"}))
    assert left_processes(folder) != []

    demo.terminate()
    _, _ = demo.communicate(timeout=20)
    assert demo.returncode == 0
    assert_nothing_left(folder)


def test_cut_short_it_still_leaves_nothing_behind(folder: Path, start: Start) -> None:
    folders = (folder / "a", folder / "b")
    for place in folders:
        place.mkdir(mode=0o755)
    stopped, bereft = (start(place, **TINY) for place in folders)
    read_until(stopped.stdout, "PingOne: running")
    stopped.send_signal(signal.SIGINT)
    read_until(bereft.stdout, "PingOne: running")
    for service in psutil.Process(bereft.pid).children():
        service.kill()
    told, told_bereft = (demo.communicate(timeout=40)[0] for demo in (stopped, bereft))

    assert stopped.returncode == 128 + signal.SIGINT
    assert told.rstrip().endswith("Stopped; nothing is left behind.")
    assert "Traceback" not in told
    assert bereft.returncode == 1
    assert "The end of the service's log:" in told_bereft
    assert "The demo cannot go on: The service ended by itself" in told_bereft
    for place in folders:
        assert_nothing_left(place)
