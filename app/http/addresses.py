"""Which network addresses the service may speak to, however they are spelled."""

from __future__ import annotations

import re
import socket
import unicodedata
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from app.core.settings import Network

Address = IPv4Address | IPv6Address

LOOPBACK: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))

LONGEST_NAME = 253
_GLOBAL_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
# Special-purpose ranges (IANA registries) that `is_global` of some Python releases lets pass, automatic tunnels that
# carry another address inside, and the one public address that is a cloud's own control channel.
_NEVER_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"})
_NUMERIC_LABEL = re.compile(r"0x[0-9a-f]*|[0-9]+")


class AddressError(ValueError):
    """The host looks like an address but is none, so what a resolver makes of it cannot be known."""


def plain_host(host: str) -> str:
    """A host in its one comparable form: compatibility characters folded, lower case, no trailing dot."""
    return unicodedata.normalize("NFKC", host).strip("[]").lower().rstrip(".")


def is_name(host: str) -> bool:
    """Whether a host may be a name at all: no label is empty or too long as it is asked for (RFC 1035, 2.3.4)."""
    try:
        asked = plain_host(host).encode("idna")
    except UnicodeError:
        return False
    return 0 < len(asked) <= LONGEST_NAME


def is_local_name(host: str) -> bool:
    name = plain_host(host)
    return name in _LOCAL_NAMES or name.endswith(".localhost")


def literal_address(host: str) -> Address | None:
    """The address that a host spells, None where it is a name.

    Knows the short, decimal, octal and hexadecimal forms of IPv4 that resolvers accept (inet_aton).
    Raises AddressError for a host that ends in a number or has a colon and still is no address.
    """
    name = plain_host(host)
    if ":" in name:
        try:
            return ip_address(name)
        except ValueError as error:
            raise AddressError(host) from error
    if not _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(socket.inet_aton(name))
    except OSError as error:
        raise AddressError(host) from error


def effective(address: Address) -> Address:
    """The address that is really reached: the IPv4 one inside a v4-mapped or NAT64 address, else the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(address.packed[-4:])
    return address


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet."""
    real = effective(address)
    if any(real in network for network in _NEVER_PUBLIC) or real.is_multicast or real.is_reserved:
        return False
    return real.is_global and (isinstance(real, IPv4Address) or real in _GLOBAL_V6)


def is_within(address: Address, allow: Sequence[Network]) -> bool:
    real = effective(address)
    return any(real in network or address in network for network in allow)
