"""Simulated vendors on loopback, and what one would type to connect to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.demo.vendors import ironclad, okta, pingone, sailpoint
from app.demo.vendors.faults import Faults
from app.demo.vendors.ironclad_tenant import ACCOUNT
from app.demo.vendors.loopback import Loopback
from app.demo.vendors.okta_oauth import CLIENT_ID as OKTA_CLIENT_ID
from app.demo.vendors.okta_oauth import KEY_ID
from app.demo.vendors.pingone_records import CLIENT_ID as PINGONE_CLIENT_ID
from app.demo.vendors.pingone_records import ENVIRONMENT
from app.demo.vendors.sailpoint_tenant import WORKFLOW_ID
from app.demo.vendors.vendor import Seen, Vendor
from app.demo.vendors.world import World


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one would type into Seatwise. All values are invented; None where the vendor has no such thing.

    trigger_client_id, trigger_client_secret   of the client that may start the workflow `workflow_id`.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    environment_id: str | None = None
    auth_method: str | None = None
    api_token: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    key_id: str | None = None
    access_token: str | None = field(default=None, repr=False)
    account_id: int | None = None
    workflow_id: str | None = None
    trigger_client_id: str | None = None
    trigger_client_secret: str | None = field(default=None, repr=False)


class VendorServer(Loopback):
    """One vendor on loopback. api_url and auth_url are what the connector options of those names take."""

    def __init__(self, vendor: Vendor, *, port: int = 0) -> None:
        super().__init__(vendor, port=port, name=f"vendor-{vendor.key}")
        self.vendor = vendor

    @property
    def api_url(self) -> str:
        paths = {"pingone": "/v1", "ironclad-clickwrap": "/v1.1"}
        return self.base_url + paths.get(self.vendor.key, "")

    @property
    def auth_url(self) -> str:
        return self.base_url

    @property
    def faults(self) -> Faults:
        return self.vendor.faults

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, oldest first."""
        return self.vendor.requests

    @property
    def credentials(self) -> Credentials:
        vendor = self.vendor
        if isinstance(vendor, okta.OktaVendor):
            pem = vendor.client.private_key_pem
            return Credentials(OKTA_CLIENT_ID, api_token=okta.API_TOKEN, private_key=pem, key_id=KEY_ID)
        if isinstance(vendor, pingone.PingOneVendor):
            return Credentials(
                PINGONE_CLIENT_ID, vendor.client_secret, environment_id=ENVIRONMENT, auth_method=vendor.auth_method
            )
        if isinstance(vendor, sailpoint.SailPointVendor):
            return Credentials(
                sailpoint.CLIENT_ID,
                sailpoint.CLIENT_SECRET,
                workflow_id=WORKFLOW_ID,
                trigger_client_id=sailpoint.TRIGGER_CLIENT_ID,
                trigger_client_secret=sailpoint.TRIGGER_CLIENT_SECRET,
            )
        return Credentials(
            ironclad.CLIENT_ID, ironclad.CLIENT_SECRET, access_token=ironclad.ACCESS_TOKEN, account_id=ACCOUNT
        )


def vendors_of(world: World, **common: Any) -> tuple[pingone.PingOneVendor, okta.OktaVendor, ironclad.IroncladVendor]:
    """The three vendors of one world that seats are read from.

    common   keyword arguments that all of them take (`links`, `record`).
    """
    return (
        pingone.PingOneVendor(world, **common),
        okta.OktaVendor(world, **common),
        ironclad.IroncladVendor(world, **common),
    )
