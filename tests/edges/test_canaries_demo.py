"""The whole demo, told with secrets of its own at each place, shows none of them: what its service says, logs, traces,
stores and sends is looked through, and each secret is where it belongs and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest
import pytest_asyncio
from pgqueuer.queries import Queries

from app.access.resealing import SEALED
from app.demo.vendors.loopback import Loopback
from app.vault import Vault
from tests.edges.calling import Caller, kept_answer
from tests.edges.canaries import Canaries, Echo, listening
from tests.edges.misplacing import misplace
from tests.edges.places import Collector, arguments_of, dumped, kept_in, leaks, mailed
from tests.webhooks.receiver import eventually

ROOT = Path(__file__).parents[2]
TOLD_WITHIN_S = 200
CONTROL, QUEUED = "the control", "the control of the queue"
LINK = "a signed link"
# Where a secret may be sent: to which server, in which part of a request, which one. And nowhere else.
BELONGS = {
    ("vendor-okta", "authorization", "Okta's API token"),
    ("vendor-pingone", "body", "PingOne's client secret"),
    ("vendor-pingone", "body", "PingOne's new client secret"),
    ("vendor-pingone", "authorization", "a token that a vendor gave"),
    ("vendor-ironclad-clickwrap", "body", "Clickwrap's client id"),
    ("vendor-ironclad-clickwrap", "body", "Clickwrap's client secret"),
    ("vendor-ironclad-clickwrap", "authorization", "a token that a vendor gave"),
    ("vendor-sailpoint-isc", "body", "SailPoint's client id"),
    ("vendor-sailpoint-isc", "body", "SailPoint's client secret"),
    ("vendor-sailpoint-isc", "authorization", "SailPoint's client id"),  # a claim of its tokens
    ("vendor-sailpoint-isc", "body", "the trigger's client secret"),
    ("vendor-sailpoint-isc", "authorization", "a token that a vendor gave"),
}


@dataclass
class Watched:
    """A demo that stays up, and what was written down of it."""

    process: subprocess.Popen[bytes]
    notes: Path
    output: Path
    canaries: Canaries
    collector: Collector
    arguments: set[bytes] = field(default_factory=set)

    def noted(self, kind: str) -> list[dict[str, Any]]:
        notes = map(json.loads, self.notes.read_text().splitlines())
        return [note for note in notes if note["kind"] == kind]

    @property
    def folder(self) -> Path:
        """Where its service keeps everything."""
        return Path(self.noted("service")[0]["folder"])

    @property
    def url(self) -> str:
        return str(re.findall(r"stays up at (\S+)", self.output.read_text())[0])

    async def told(self) -> bool:
        """Whether it has come to the end of its story."""
        await asyncio.sleep(0.5)
        self.arguments |= arguments_of(self.process.pid)
        assert self.process.poll() is None, self.output.read_text()
        return "Ctrl-C ends it" in self.output.read_text()

    def learn(self) -> None:
        """Every secret of this demo, those too that it made and has sealed."""
        for note in self.noted("secret"):
            self.canaries.know(note["what"], note["value"])
        for name in ("encryption.keys", "postgres.password"):
            self.canaries.know(name, (self.folder / "data" / name).read_text().strip())

    @property
    def database_url(self) -> str:
        password = (self.folder / "data" / "postgres.password").read_text().strip()
        host = quote(str(self.folder / "data" / "postgres"), safe="")
        return f"postgresql://postgres:{quote(password)}@/postgres?host={host}"


def started(notes: Path, output: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with output.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.edges.watched_demo", str(notes)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=out,
            stderr=out,
        )


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    """A demo at the end of its story, for the time of the block; then it ends in order."""
    canaries = Canaries()
    word, collector = canaries.new(CONTROL, plain=True), Collector()
    (folder / "told").mkdir()
    notes, output = folder / "told" / f"{word}.jsonl", folder / "told" / "output"
    key = canaries.new("the key of the collector", plain=True)
    async with Loopback(collector) as traces:
        environment = {
            "TMPDIR": str(folder),
            "HOME": str(folder),
            "PYTHONIOENCODING": "utf-8",
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.base_url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={key}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        process = started(notes, output, environment)
        demo = Watched(process, notes, output, canaries, collector)
        try:
            await eventually(demo.told, within_s=TOLD_WITHIN_S)
            demo.learn()
            yield demo
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 40)


async def go_on(demo: Watched, caller: Caller, echo: Echo) -> None:
    """What the demo does not tell of: mails with files and links, bearers, keys, jobs that nobody works, mistakes."""
    word = demo.canaries.values[CONTROL]
    instance = (await caller.call("GET", "/v1/instances?limit=1"))["items"][0]
    await caller.call("PATCH", f"/v1/instances/{instance['id']}", json={"name": word})
    await caller.call("GET", "/v1/people", headers={"X-Request-Id": word})
    await hand_out(demo, caller, echo)
    same = {"Idempotency-Key": "the-same-key-twice"}
    for _ in range(2):
        made = await caller.call("POST", "/v1/api-keys", json={"name": "a", "role": "viewer"}, headers=same)
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["key"]}
    token = (await caller.call("POST", "/oauth/token", data=form))["access_token"]
    for each in (made["key"], token):
        await caller.call("GET", "/v1/people", headers={"Authorization": f"Bearer {each}"})
    await misplace(caller, demo.canaries)
    await write_to_its_database(demo)
    await caller.everything()


async def hand_out(demo: Watched, caller: Caller, echo: Echo) -> None:
    """A report by mail as a file, packed and as a link, to receivers as pages and as a link; and the link is used."""
    hooks = []
    for delivery in ("pages", "link"):
        auth = {"type": "bearer", "secret": demo.canaries.new("a bearer", plain=True)}
        body = {"name": delivery, "url": f"{echo.url}/200/hook", "delivery": delivery, "auth": auth}
        made = await caller.call("POST", "/v1/webhooks", json=body)
        await caller.call("POST", f"/v1/webhooks/{made['id']}/rotate")
        hooks.append({"type": "webhook", "webhook_id": made["id"]})
    mail = {"type": "email", "to": ["auditor@example.com"]}
    mails = [{**mail, "format": "csv"}, {**mail, "format": "xlsx"}]
    linked = {**mail, "to": ["other@example.com"], "format": "csv", "max_attachment_bytes": 0}
    report = {
        "name": "All",
        "dataset": "accounts",
        "columns": ["email", "instance"],
        "outputs": [*hooks, *mails, linked],
    }
    before = len(demo.noted("mail"))
    made = await caller.call("POST", "/v1/reports", json=report)
    assert "id" in made, made
    await caller.call("POST", f"/v1/reports/{made['id']}/runs")

    async def handed_out() -> bool:
        await asyncio.sleep(0.2)
        return len(demo.noted("mail")) == before + 3 and len(linked_in("\n".join(echo.told).encode())) == 1

    await eventually(handed_out, within_s=60)
    found = linked_in(b"\n".join([*map(str.encode, echo.told), *mails_of(demo)]))
    assert len(found) == 2
    for link, signature in found.items():
        demo.canaries.know(LINK, signature)
        without_key = {"Authorization": ""}
        await caller.call("GET", link, headers=without_key)
        await caller.call("GET", link.replace(signature, f"{signature}A"), headers=without_key)
        await caller.call("GET", f"/links/{signature}", headers=without_key)


def linked_in(content: bytes) -> dict[str, str]:
    """Signed links and their signatures."""
    text = content.decode("utf-8", "replace").replace("\\u0026", "&").replace("&amp;", "&")
    return dict(re.findall(r'(http://[^\s"]+/links/[^\s"]+signature=([\w-]+))', text))


def mails_of(demo: Watched) -> list[bytes]:
    return [part for note in demo.noted("mail") for part in mailed(b64decode(note["content"]))]


async def write_to_its_database(demo: Watched) -> None:
    """Controls in the queue and in the database's log, and the keys that the service has made for itself."""
    connection = await asyncpg.connect(demo.database_url)
    try:
        job = json.dumps({"word": demo.canaries.new(QUEUED, plain=True)}).encode()
        await Queries.from_asyncpg_connection(connection).enqueue("nobody's job", job)
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(f"SELECT '{demo.canaries.values[CONTROL]}'::int")
        vault = Vault.from_keys(demo.canaries.values["encryption.keys"])
        sealed = next(each for each in SEALED if each.table == "signing_keys")
        for row in await connection.fetch("SELECT purpose, version, sealed FROM signing_keys WHERE purpose <> 'proof'"):
            made = vault.open(row["sealed"], context=sealed.context_of(row)).decode("latin-1")
            demo.canaries.know("a signing key", json.loads(made)["d"] if made.startswith("{") else made)
    finally:
        await connection.close()


@dataclass(frozen=True)
class Searched:
    """What there is to look through, by place, and the requests that were heard by anybody else."""

    canaries: Canaries
    places: dict[str, list[bytes]]
    requests: list[dict[str, Any]]
    told: list[str]
    files: dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short, for the path of a socket has little room; open, for the database runs as another user."""
    with tempfile.TemporaryDirectory(prefix="sw-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest_asyncio.fixture(scope="module")
async def searched(folder: Path) -> Searched:
    """Of a demo that was told to its end, went on and has ended."""
    echo = Echo(Canaries())
    async with listening(echo) as port, watched(folder) as demo:
        echo.url = f"http://127.0.0.1:{port}"
        os.link(demo.folder / "service.log", folder / "told" / "log")
        os.link(demo.folder / "data" / "postgres" / "log", folder / "told" / "postgres.log")
        async with httpx.AsyncClient(base_url=demo.url, timeout=30) as client:
            caller = Caller(client, demo.canaries.values["the admin's key"], demo.canaries)
            await go_on(demo, caller, echo)
        demo.learn()
        demo.arguments |= arguments_of(demo.process.pid)
        stored, data = await dumped(demo.database_url), demo.folder / "data"
        files = {
            name: (stat.S_IMODE((data / name).stat().st_mode), (data / name).read_text())
            for name in ("encryption.keys", "postgres.password")
        }
        answers = [
            kept_answer(demo.canaries, *(note[each] for each in ("method", "path", "status", "headers", "body")))
            for note in demo.noted("answer")
        ]
        written = kept_in(demo.folder / "data" / "postgres", "pg_wal")
        beside = [
            file.read_bytes()
            for file in demo.folder.rglob("*")
            if file.is_file()
            and file.name not in files
            and not {"base", "global"} & set(file.parts)
            and not any(part.startswith("pg_") for part in file.parts)
        ]
    places = {
        "answers": [*answers, *caller.answered],
        "log": (folder / "told" / "log").read_bytes().splitlines(),
        "log of the database": (folder / "told" / "postgres.log").read_bytes().splitlines(),
        "files": beside,
        "traces": demo.collector.bodies,
        "database": stored,
        "what the database ever wrote": written,
        "mails": mails_of(demo),
        "arguments": sorted(demo.arguments),
        "output": demo.output.read_bytes().splitlines(),
    }
    return Searched(demo.canaries, places, demo.noted("request"), echo.told, files)


# What stands in each place, and has to be found there: what was planted in clear, and what belongs there.
STANDS = {
    "answers": {CONTROL},
    "log": {CONTROL},
    "log of the database": {CONTROL},
    "files": {CONTROL},
    "traces": {CONTROL},
    "database": {CONTROL, QUEUED},
    "what the database ever wrote": {CONTROL, QUEUED},
    "mails": {CONTROL, LINK},
    "arguments": {CONTROL},
    "output": {"the admin's key"},
}


@pytest.mark.parametrize("place", STANDS)
@pytest.mark.timeout(400)
def test_what_is_planted_in_clear_is_found_and_nothing_secret_is(searched: Searched, place: str) -> None:
    allowed = STANDS[place]
    assert leaks(searched.canaries, searched.places[place], allowed=frozenset(allowed)) == {}
    assert {what for _, what, _ in searched.canaries.found_in(searched.places[place])} == allowed


def test_each_secret_is_sent_to_whom_it_belongs_and_in_its_place(searched: Searched) -> None:
    parts = [
        (request["server"], part, value)
        for request in searched.requests
        for part, value in [*((each, request[each]) for each in ("body", "query", "path")), *request["headers"]]
    ]
    assert found_by_part(searched.canaries, parts) - {("receiver", "body", CONTROL)} == BELONGS


def test_a_receiver_gets_its_own_bearer_and_its_link(searched: Searched) -> None:
    parts = []
    for told in searched.told:
        head, _, body = told.partition("\r\n\r\n")
        lines = (line.partition(":") for line in head.split("\r\n"))
        parts += [("echo", name.lower(), value) for name, _, value in lines]
        parts += [("echo", "body", body)]
    found = found_by_part(searched.canaries, parts)
    assert found == {("echo", "authorization", "a bearer"), ("echo", "body", LINK), ("echo", "body", CONTROL)}


def found_by_part(canaries: Canaries, parts: list[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Of parts of requests (who heard it, its name, its content) whose secrets are in which."""
    found = canaries.found_in([content.encode("utf-8", "surrogateescape") for _, _, content in parts])
    return {(*parts[number][:2], what) for number, what, _ in found}


def test_what_the_service_keeps_in_files_is_its_owners_alone(searched: Searched) -> None:
    assert {mode for mode, _ in searched.files.values()} == {0o600}
    assert all(content.strip() for _, content in searched.files.values())
