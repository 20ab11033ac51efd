"""The simulated vendors of the demo, with their bad moments, and what one would type to connect them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.demo.vendors.ironclad import IroncladVendor
from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.pingone import PingOneVendor
from app.demo.vendors.sailpoint import TRIGGER_CLIENT_ID, TRIGGER_CLIENT_SECRET, SailPointVendor
from app.demo.vendors.sailpoint_tenant import WORKFLOW_ID
from app.demo.vendors.serve import VendorServer, vendors_of
from app.demo.vendors.world import World


@dataclass(frozen=True, slots=True)
class Connection:
    """name of credential and instance; the rest as `POST /v1/credentials` takes it."""

    name: str
    connector: str
    scheme: str
    secrets: dict[str, str | None] = field(repr=False)
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IscSide:
    """The tenant of SailPoint: how to read from it, and the client of its workflow's own trigger."""

    connection: Connection
    token_url: str
    trigger_url: str
    trigger_client_id: str
    trigger_client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Simulated:
    """What is there to connect, PingOne first; `pingone` is the vendor itself, to be changed meanwhile."""

    connections: list[Connection]
    pingone: PingOneVendor
    isc: IscSide


@contextmanager
def simulated(world: World) -> Iterator[Simulated]:
    """The vendors on loopback for the time of the block."""
    pingone, okta, ironclad = vendors_of(world, record=False)
    _spoil(pingone, okta, ironclad)
    isc = SailPointVendor(world, record=False)
    isc.faults.revoke_tokens("/workflows/v1/execute", at=2)
    with ExitStack() as stack:
        servers = [stack.enter_context(VendorServer(vendor)) for vendor in (pingone, okta, ironclad, isc)]
        connections = [_pingone(servers[0]), _okta(servers[1]), _ironclad(servers[2])]
        yield Simulated(connections, pingone, _isc(servers[3]))


def _spoil(pingone: PingOneVendor, okta: OktaVendor, ironclad: IroncladVendor) -> None:
    """Each vendor refuses, breaks off or forgets its tokens now and then, as the real ones do."""
    okta.faults.too_many("/logs", at=4, retry_after="2")
    okta.faults.truncated("/logs", at=8)
    okta.faults.too_many("/logs", at=30, retry_after="3")
    pingone.faults.revoke_tokens("/users", at=7)
    pingone.faults.too_many("/activities", at=8, retry_after="3")
    pingone.faults.reset("/activities", at=20)
    ironclad.faults.too_many("/accounts", at=3, retry_after="2")


def _urls(server: VendorServer) -> dict[str, str]:
    return {"api_url": server.api_url, "auth_url": server.auth_url}


def _pingone(server: VendorServer) -> Connection:
    given = server.credentials
    return Connection(
        "PingOne",
        "pingone",
        "oauth2_client_credentials",
        {"client_id": given.client_id, "client_secret": given.client_secret},
        {"region": "eu", "environment_id": given.environment_id, **_urls(server)},
    )


def _okta(server: VendorServer) -> Connection:
    token = server.credentials.api_token
    options = {"sso_url": server.vendor.documented_host, **_urls(server)}
    return Connection("Okta", "okta", "api_token", {"api_token": token}, options)


def _ironclad(server: VendorServer) -> Connection:
    given = server.credentials
    return Connection(
        "Ironclad Clickwrap",
        "ironclad-clickwrap",
        "oauth2_client_credentials",
        {"client_id": given.client_id, "client_secret": given.client_secret},
        _urls(server),
    )


def _isc(server: VendorServer) -> IscSide:
    given, base = server.credentials, server.base_url
    connection = Connection(
        "SailPoint",
        "sailpoint-isc",
        "oauth2_client_credentials",
        {"client_id": given.client_id, "client_secret": given.client_secret},
        {"api_url": server.api_url},
    )
    trigger_url = f"{base}/workflows/v1/execute/external/{WORKFLOW_ID}"
    return IscSide(connection, f"{base}/oauth/token", trigger_url, TRIGGER_CLIENT_ID, TRIGGER_CLIENT_SECRET)
