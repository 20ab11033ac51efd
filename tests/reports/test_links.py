from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

from app.access.links import RunLinks, public_base, remember_listener, signatures_in
from app.access.signing_keys import SigningKeys
from app.core.clock import now
from app.core.ids import new_id
from app.models import ReportRun
from app.sync.runtime import Runtime
from tests.api.books import Books
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.reports.answering import answered, of, seats


@pytest_asyncio.fixture(scope="module")
async def run(runtime: Runtime) -> ReportRun:
    return await answered(runtime, filters=of(await seats(Books(runtime.database), ["Ada"])))


@pytest.fixture
def links(runtime: Runtime) -> RunLinks:
    return RunLinks(runtime.database, runtime.vault)


async def made(links: RunLinks, run: ReportRun, lasts: timedelta = timedelta(hours=1), format_: str = "csv") -> str:
    return await links.url("http://seatwise.test", run.id, format_, now() + lasts)


def altered(url: str, **changed: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **changed})).geturl()


async def test_whoever_has_the_link_gets_the_file(api: Api, links: RunLinks, run: ReportRun) -> None:
    got = await api.anonymous().get(await made(links, run))
    assert (got.status_code, got.content) == (200, b"name\r\nAda\r\n")
    assert got.headers["content-type"].startswith("text/csv")
    assert got.headers["content-disposition"].startswith("attachment")
    assert int(got.headers["content-length"]) == len(got.content)
    again = await api.anonymous().get(await made(links, run), headers={"If-None-Match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("format_", ["json", "ndjson", "xlsx"])
async def test_every_format_can_be_linked(api: Api, links: RunLinks, run: ReportRun, format_: str) -> None:
    assert (await api.anonymous().get(await made(links, run, format_=format_))).status_code == 200


async def test_an_expired_or_altered_link_is_refused(api: Api, links: RunLinks, run: ReportRun) -> None:
    caller = api.anonymous()
    good = await made(links, run)
    expired = await made(links, run, timedelta(seconds=-1))
    later = str(int(parse_qs(urlsplit(good).query)["expires"][0]) + 60)
    other = good.replace(str(run.id), str(new_id()))
    spoiled = [
        expired, other, altered(good, expires=later), altered(expired, expires=later), altered(good, format="ndjson"),
        altered(good, signature="x"), altered(good, signature=""), altered(good, expires="x"),
        altered(good, expires="9" * 5000), altered(good, expires="١٢٣"), altered(good, signature="é"),
        good.split("?")[0],
    ]  # fmt: skip
    for url in spoiled:
        problem = assert_problem(await caller.get(url), 403)
        assert str(run.id) not in problem["detail"]
    assert_problem(await caller.get(f"{good}&more=1"), 422)


async def test_a_link_to_a_run_that_is_gone(api: Api, links: RunLinks) -> None:
    url = await links.url("http://seatwise.test", new_id(), "csv", now() + timedelta(hours=1))
    assert_problem(await api.anonymous().get(url), 404)


async def test_links_outlive_a_renewed_key_and_hold_on_every_process(
    runtime: Runtime, links: RunLinks, run: ReportRun
) -> None:
    query = parse_qs(urlsplit(await made(links, run)).query)
    await SigningKeys(runtime.database, runtime.vault, "link", lambda: b"n" * 32).renew()
    for process in (links, RunLinks(runtime.database, runtime.vault)):
        assert await process.is_good(run.id, "csv", query["expires"][0], query["signature"][0])


async def test_links_begin_with_the_public_url_or_where_serve_listens(runtime: Runtime) -> None:
    database, settings = runtime.database, runtime.settings
    assert await public_base(database, settings) == "http://127.0.0.1:8000"
    await remember_listener(database, "127.0.0.1", 8123)
    assert await public_base(database, settings) == "http://127.0.0.1:8123"
    await remember_listener(database, "::1", 8124)
    assert await public_base(database, settings) == "http://[::1]:8124"
    await remember_listener(database, "0.0.0.0", 8125)  # noqa: S104  as the command line may say it
    assert await public_base(database, settings) == "http://localhost:8125"
    await remember_listener(database, "127.0.0.1", 8123)
    assert await public_base(database, settings) == "http://127.0.0.1:8123"
    public = settings.model_copy(update={"public_url": "https://seatwise.example.com/base/"})
    assert await public_base(database, public) == "https://seatwise.example.com/base"


async def test_the_signatures_of_a_message_are_known(links: RunLinks) -> None:
    urls = [await links.url("https://seatwise.example.com", new_id(), "csv", now() + timedelta(hours=1)) for _ in "ab"]
    told = json.dumps({"data": {"url": urls[0], "name": "signature=nothing"}, "input": [urls[1]]}).encode()
    assert signatures_in(told) == [parse_qs(urlsplit(url).query)["signature"][0] for url in urls]
    assert signatures_in(b'{"url": "https://seatwise.example.com/links"}') == []
