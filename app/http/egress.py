"""The guard of everything that leaves: no request reaches a private network that was not allowed.

A URL is checked when it is saved, for a clear message; what really protects is the check at each connection, on the
very address that is then connected to, so that a name which changes its address in between gains nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore
import httpx

from app.core.errors import InvalidInput, OutboundRefused
from app.core.settings import Network
from app.http.addresses import (
    LOOPBACK,
    Address,
    AddressError,
    is_local_name,
    is_name,
    is_public,
    is_within,
    literal_address,
)

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f]")
_ALLOW_HINT = "An operator can permit its network in SEATWISE_OUTBOUND_ALLOW."


def check_url(url: str, allow: Sequence[Network], *, pointer: str) -> None:
    """Refuse a URL that the service would never call.

    allow    networks that may be reached although they are not public, and by plain http.
    pointer  where the URL stands in the body: `#/options/api_url`.
    Raises InvalidInput. A name is not resolved here: that is checked at each connection.
    """
    problem = _url_problem(url, allow)
    if problem:
        raise InvalidInput.at(pointer, problem)


def _url_problem(url: str, allow: Sequence[Network]) -> str | None:
    try:
        parsed = httpx.URL(url)
        host = parsed.host  # decoded, which a name that only looks like an international one does not stand
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return "This is not a URL. Type it as https://host/path."
    if parsed.scheme not in {"http", "https"}:
        return "The URL must begin with https://."
    if not host or _UNSAFE.search(url) or "%" in host:
        return "The URL needs a plain host name. Type it as https://host/path."
    if parsed.userinfo or "@" in parsed.netloc.decode("ascii"):
        return "The URL must not carry a user name or password; give secrets in their own fields."
    if parsed.port is not None and not 0 < parsed.port < 65536:
        return "The port must be between 1 and 65535."
    return _host_problem(host, allow, plain=parsed.scheme == "http")


def _host_problem(host: str, allow: Sequence[Network], *, plain: bool) -> str | None:
    if is_local_name(host):
        if any(is_within(address, allow) for address in LOOPBACK):
            return None
        return f"{host} is this machine itself, which is not allowed. {_ALLOW_HINT}"
    try:
        address = literal_address(host)
    except AddressError:
        return f"{host} is neither a host name nor an address."
    if address is None and not is_name(host):
        return "A host name has labels of 1 to 63 characters between its dots, and 253 in all."
    if address is None:
        return "Plain http is not allowed; use https." if plain and not allow else None
    return _refusal(address, allow, plain=plain)


def _refusal(address: Address, allow: Sequence[Network], *, plain: bool) -> str | None:
    """Why nothing may be sent to an address, None where it may."""
    if is_within(address, allow):
        return None
    if not is_public(address):
        return f"{address} is a private or special address, which is not allowed. {_ALLOW_HINT}"
    if plain:
        return f"Plain http to {address} is not allowed; use https. {_ALLOW_HINT}"
    return None


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Every address of a name, in the order of preference (RFC 6724). Raises OSError where there is none."""
    if not is_name(host):
        raise OSError(f"{host[:100]} is no name")
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses only: a name is resolved once, every address of it is checked, and the connection
    goes to a checked one.

    plain  True for connections without TLS, which are allowed only towards `allow`.
    """

    def __init__(self, allow: Sequence[Network], *, plain: bool, resolve: Resolver | None = None) -> None:
        self._allow = tuple(allow)
        self._plain = plain
        self._resolve = resolve or resolve_by_system
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises OutboundRefused before anything is sent, httpcore.ConnectError where no address answers."""
        addresses = await self._checked(host, port)
        each = None if timeout is None else timeout / len(addresses)
        options = list(socket_options or ())
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(str(address), port, each, local_address, options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or httpcore.ConnectError(f"{host} has no address")

    async def _checked(self, host: str, port: int) -> Sequence[Address]:
        if is_local_name(host):
            permitted = [address for address in LOOPBACK if is_within(address, self._allow)]
            if not permitted:
                raise OutboundRefused(f"{host} is this machine itself, which is not allowed. {_ALLOW_HINT}")
            return permitted
        addresses = await self._addresses(host, port)
        for address in addresses:
            if problem := _refusal(address, self._allow, plain=self._plain):
                raise OutboundRefused(f"{host} was not called: {problem}")
        return addresses

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        try:
            literal = literal_address(host)
            if literal is not None:
                return [literal]
            found = [literal_address(text) for text in await self._resolve(host, port)]
        except AddressError as error:
            raise OutboundRefused(f"{host} was not called: it is neither a host name nor an address.") from error
        except OSError as error:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error
        addresses = [address for address in found if address is not None]
        if not addresses:
            raise httpcore.ConnectError(f"the name {host} has no address")
        return addresses
