"""The one HTTP client of the service: guarded, bounded in time and size, blind to the environment's proxies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast

import httpcore
import httpx

from app.core.errors import VendorUnavailable
from app.core.settings import Network
from app.http.bodies import AnswerCutOff, AnswerTooLarge, read_body
from app.http.egress import GuardedBackend, Resolver

MAX_BYTES = 64 * 1024 * 1024
MAX_CONNECTIONS = 8
KEEPALIVE_S = 15.0

_FRAMING = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
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
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=(tls or _system_tls()) if scheme == "https" else None,
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=KEEPALIVE_S,
                network_backend=GuardedBackend(allow, plain=scheme == "http", resolve=resolve),
            )
            for scheme in ("https", "http")
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._pools.get(request.url.scheme)
        if pool is None:
            raise httpx.UnsupportedProtocol("only http and https are called")
        async with self._turns:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._exchange(pool, request)
            except TimeoutError as error:
                raise httpx.ReadTimeout(f"no complete answer within {self._timeout_s:g} s") from error

    async def _exchange(self, pool: httpcore.AsyncConnectionPool, request: httpx.Request) -> httpx.Response:
        url = request.url
        outgoing = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=await request.aread(),
            extensions=request.extensions,
        )
        async with _faults_of_httpx():
            incoming = await pool.handle_async_request(outgoing)
            try:
                headers = httpx.Headers(incoming.headers)
                stream = cast("AsyncIterator[bytes]", incoming.stream)
                encodings = headers.get_list("content-encoding", split_commas=True)
                body = await read_body(stream, encodings, max_bytes=self._max_bytes)
            except AnswerTooLarge as fault:
                fault.answer = httpx.Response(incoming.status, headers=_without_framing(incoming.headers))
                raise
            except httpcore.RemoteProtocolError as fault:
                raise AnswerCutOff(str(fault)) from fault
            finally:
                await incoming.aclose()
        kept = _without_framing(incoming.headers)
        return httpx.Response(incoming.status, headers=kept, content=body, extensions=incoming.extensions)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


def _without_framing(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _FRAMING]


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
    user_agent: str = "Seatwise",
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
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"},
    )
