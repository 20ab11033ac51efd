"""The one HTTP client of the service: guarded, bounded in time and size, blind to the environment's proxies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast

import httpcore
import httpx

from app.core.errors import VendorUnavailable
from app.core.settings import Network
from app.http.bodies import AnswerCutOff, AnswerTooLarge, read_body
from app.http.connections import Connections
from app.http.egress import GuardedBackend, Resolver

MAX_BYTES = 64 * 1024 * 1024
MAX_CONNECTIONS = 8
KEEPALIVE_S = 15.0

# What every request of the service says of itself.
HEADERS = {"User-Agent": "Seatwise", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}

_FRAMING = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
# Nobody follows a redirect, and the library would read where it leads, whatever that is.
_UNREAD = _FRAMING | {b"location"}
_FAULTS: tuple[tuple[type[Exception], type[httpx.RequestError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
)


@lru_cache(maxsize=1)
def _system_tls() -> ssl.SSLContext:
    """Trusts the bundled authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR where a site sets them."""
    try:
        return httpx.create_ssl_context(trust_env=True)
    except OSError as error:
        raise VendorUnavailable(
            f"The certificates of trusted authorities cannot be read ({error.strerror}); check SSL_CERT_FILE and "
            "SSL_CERT_DIR on the host that runs the service."
        ) from error


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends through the guard, and reads each answer whole before it is handed on.

    timeout_s  from the start of the connection to the last byte; waiting for one of the connections does not count.
    max_bytes  largest body, after decompression.
    Raises httpx.RequestError, OutboundRefused.
    """

    def __init__(
        self,
        *,
        allow: Sequence[Network],
        timeout_s: float,
        max_bytes: int = MAX_BYTES,
        tls: ssl.SSLContext | None = None,
        resolve: Resolver | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        trusted = tls or _system_tls()
        self._connections = Connections(
            MAX_CONNECTIONS,
            KEEPALIVE_S,
            trusted,
            {scheme: GuardedBackend(allow, plain=scheme == b"http", resolve=resolve) for scheme in (b"https", b"http")},
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._send(request.method, request.url, request.headers.raw, await request.aread())

    async def post(self, url: httpx.URL, headers: Mapping[str, str], content: bytes) -> httpx.Response:
        """Post a body without what an httpx.AsyncClient does around a request, which costs as much as the exchange.

        headers   beside `Host`, `Content-Length` and what every request of the service has.
        """
        host = url.netloc.decode("ascii")
        whole = {"Host": host, **HEADERS, "Content-Length": str(len(content)), **headers}
        raw = [(name.encode("ascii"), value.encode("ascii")) for name, value in whole.items()]
        return await self._send("POST", url, raw, content)

    async def _send(
        self, method: str, url: httpx.URL, headers: Sequence[tuple[bytes, bytes]], content: bytes
    ) -> httpx.Response:
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol("only http and https are called")
        outgoing = httpcore.Request(
            method=method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=headers,
            content=content,
            # One limit holds for all steps; this is what the addresses of a name share.
            extensions={"timeout": {"connect": self._timeout_s}},
        )
        async with self._turns:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._exchange(outgoing)
            except TimeoutError as error:
                raise httpx.ReadTimeout(f"no complete answer within {self._timeout_s:g} s") from error

    async def _exchange(self, outgoing: httpcore.Request) -> httpx.Response:
        async with _faults_of_httpx():
            try:
                return await self._once(outgoing, fresh=False)
            except _HungUp:
                return await self._once(outgoing, fresh=True)

    async def _once(self, outgoing: httpcore.Request, *, fresh: bool) -> httpx.Response:
        async with self._connections.lent(outgoing.url.origin, fresh=fresh) as connection:
            incoming = await _begun(connection, outgoing)
            try:
                stream = cast("AsyncIterator[bytes]", incoming.stream)
                body = await read_body(stream, _encodings(incoming.headers), max_bytes=self._max_bytes)
            except AnswerTooLarge as fault:
                fault.answer = httpx.Response(incoming.status, headers=_told(incoming.headers))
                raise
            except httpcore.RemoteProtocolError as fault:
                raise AnswerCutOff(str(fault)) from fault
            finally:
                await incoming.aclose()
        kept = _told(incoming.headers)
        return httpx.Response(incoming.status, headers=kept, content=body, extensions=incoming.extensions)

    async def aclose(self) -> None:
        await self._connections.aclose()


class _HungUp(Exception):
    """The host has ended a kept connection just as it was used again."""


async def _begun(connection: httpcore.AsyncHTTPConnection, outgoing: httpcore.Request) -> httpcore.Response:
    """The beginning of an answer. Raises _HungUp where a connection that was open before ends without one: nothing that
    the service sends does harm when it is sent again.
    """
    rested = connection.is_available()
    try:
        return await connection.handle_async_request(outgoing)
    except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError) as fault:
        if rested:
            raise _HungUp from fault
        raise


def _encodings(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    told = [value.decode("latin-1") for name, value in headers if name.lower() == b"content-encoding"]
    return ",".join(told).split(",")


def _told(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _UNREAD]


@asynccontextmanager
async def _faults_of_httpx() -> AsyncIterator[None]:
    """The faults of the wire under the names that users of httpx expect."""
    try:
        yield
    except Exception as fault:
        for known, shown in _FAULTS:
            if isinstance(fault, known):
                raise shown(str(fault)) from fault
        raise


def build_client(
    *,
    allow: Sequence[Network],
    timeout_s: float,
    max_bytes: int = MAX_BYTES,
    tls: ssl.SSLContext | None = None,
    resolve: Resolver | None = None,
) -> httpx.AsyncClient:
    """A client for one worker, with at most 8 requests at a time: httpcore's pool gets slower above.

    allow       networks that may be reached although they are not public, and by plain http.
    timeout_s   limit of one request in seconds, from connect to last byte.
    max_bytes   largest answer, after decompression.
    tls         whom to trust; by default the usual authorities.
    resolve     how names become addresses; by default as the system does.
    Redirects are not followed, cookies not kept, proxies of the environment not used.
    """
    transport = GuardedTransport(allow=allow, timeout_s=timeout_s, max_bytes=max_bytes, tls=tls, resolve=resolve)
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(timeout_s),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers=HEADERS,
    )
