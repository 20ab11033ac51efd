from __future__ import annotations

import asyncio
import gzip
import ssl
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from app.core.errors import VendorUnavailable
from app.http.bodies import AnswerCutOff, AnswerTooLarge, read_body
from app.http.client import _system_tls, build_client
from tests.unit.http.http_servers import LOOPBACK, Server, certificate, ok, says, serving


async def fetched(server: Server, *, timeout_s: float = 2, max_bytes: int = 1 << 20) -> httpx.Response:
    async with build_client(allow=LOOPBACK, timeout_s=timeout_s, max_bytes=max_bytes) as client:
        return await client.get(server.url)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for vendor.example, and a client's that trusts it."""
    path = certificate(tmp_path_factory.mktemp("tls"), "vendor.example")
    at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    at_server.load_cert_chain(path)
    return at_server, ssl.create_default_context(cafile=path)


async def test_an_answer_keeps_every_header_line() -> None:
    lines = ('Link: <https://a/1>; rel="self"', 'Link: <https://a/2>; rel="next"')
    async with serving(says(ok(b"[1]", *lines))) as server:
        answer = await fetched(server)
    assert answer.headers.get_list("link") == ['<https://a/1>; rel="self"', '<https://a/2>; rel="next"']
    assert answer.content == b"[1]"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"x" * 9000, mtime=0)),
        ("gzip", gzip.compress(b"x" * 4000, mtime=0) + gzip.compress(b"x" * 5000, mtime=0)),
        ("deflate", zlib.compress(b"x" * 9000)),
        ("deflate", zlib.compress(b"x" * 9000)[2:-4]),
        ("identity", b"x" * 9000),
    ],
)
async def test_compressed_bodies_are_read(encoding: str, packed: bytes) -> None:
    async with serving(says(ok(packed, f"Content-Encoding: {encoding}"))) as server:
        assert (await fetched(server, max_bytes=9000)).content == b"x" * 9000


async def test_a_small_body_that_unpacks_into_too_much_is_refused() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    async with serving(says(ok(bomb, "Content-Encoding: gzip"))) as server:
        with pytest.raises(AnswerTooLarge):
            await fetched(server, max_bytes=1000)


async def test_what_a_small_body_unpacks_into_is_never_held() -> None:
    bomb = gzip.compress(b"0" * 32_000_000)

    async def chunks() -> AsyncIterator[bytes]:
        yield bomb

    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLarge):
            await read_body(chunks(), ["gzip"], max_bytes=1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


async def test_a_body_without_end_is_refused_at_the_cap() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"0" * 65536)
            await writer.drain()

    async with serving(endless) as server:
        with pytest.raises(AnswerTooLarge):
            await fetched(server, max_bytes=300_000)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", AnswerCutOff),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", AnswerCutOff),
        (ok(gzip.compress(b"x" * 999, mtime=0)[:-9], "Content-Encoding: gzip"), httpx.DecodingError),
        (ok(b"not packed", "Content-Encoding: gzip"), httpx.DecodingError),
        (ok(b"??", "Content-Encoding: br"), httpx.DecodingError),
        (b"", httpx.RemoteProtocolError),
        (b"SSH-2.0-x\r\n\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_damaged_answers_are_faults_of_the_wire(sent: bytes, fault: type[Exception]) -> None:
    async with serving(says(sent)) as server:
        with pytest.raises(fault):
            await fetched(server)


@pytest.mark.parametrize("location", ["http://xn--a/", "javascript:1", "http://[", "//\\", "x" * 70_000])
async def test_where_a_redirect_leads_is_not_even_read(location: str) -> None:
    async with serving(says(f"HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        assert (await fetched(server)).status_code == 302


async def test_a_slow_drip_ends_at_the_total_limit() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(40):
            writer.write(b"0")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as server:
        began = time.monotonic()
        with pytest.raises(httpx.ReadTimeout, match=r"within 0\.2 s"):
            await fetched(server, timeout_s=0.2)
        assert time.monotonic() - began < 0.7


async def test_the_certificate_is_checked_against_the_name_although_the_address_was_checked(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    at_server, trusting = tls

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(says(ok(b"{}")), tls=at_server) as server:
        async with build_client(allow=LOOPBACK, timeout_s=2, tls=trusting, resolve=resolve) as client:
            assert (await client.get(f"https://vendor.example:{server.port}/")).status_code == 200
            with pytest.raises(httpx.ConnectError, match=r"other\.example"):
                await client.get(f"https://other.example:{server.port}/")
        async with build_client(allow=LOOPBACK, timeout_s=2, resolve=resolve) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"https://vendor.example:{server.port}/")


async def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nSet-Cookie: sid=1\r\nContent-Length: 0\r\n\r\n"
    async with serving(says(moved)) as server, build_client(allow=LOOPBACK, timeout_s=1) as client:
        assert (await client.get(server.url)).status_code == 302
        await client.get(server.url)
        assert b"sid" not in server.heads[1]


async def test_the_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with serving(says(ok(b"{}"))) as server:
        assert (await fetched(server)).status_code == 200


async def test_at_most_eight_requests_are_under_way_and_waiting_for_a_turn_is_no_time_out() -> None:
    now = most = 0

    async def slow(writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.25)
        now -= 1
        writer.write(ok(b"{}"))
        await writer.drain()

    async with serving(slow) as server, build_client(allow=LOOPBACK, timeout_s=0.9) as client:
        answers = await asyncio.gather(*(client.get(server.url) for _ in range(40)))
    assert [answer.status_code for answer in answers] == [200] * 40
    assert most == 8


def test_missing_authorities_are_told_with_the_variables_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authorities.pem")
    _system_tls.cache_clear()
    with pytest.raises(VendorUnavailable, match="SSL_CERT_FILE"):
        build_client(allow=LOOPBACK, timeout_s=1)
    _system_tls.cache_clear()
