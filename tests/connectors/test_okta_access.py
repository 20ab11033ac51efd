from __future__ import annotations

import httpx
import pytest

from app.connectors import registry
from app.connectors.okta import MANIFEST

from .fake_okta import HOST, OWNER, FakeOkta, FakeOktaService, person
from .suite import ConnectorSuite


class TestSuiteOfServiceApplications(ConnectorSuite):
    vendor = FakeOktaService


async def test_a_token_without_a_role_answers_with_its_owner_alone_and_is_not_ok() -> None:
    vendor = FakeOkta()
    vendor.roles = None
    vendor.listed = [{**person(1), "id": OWNER}]
    check = await vendor.connect().check()
    assert (check.ok, check.missing, check.code) == (False, ("Read-only Administrator",), "insufficient_permissions")
    vendor.listed = []
    assert not (await vendor.connect().check()).ok
    vendor.roles = []
    vendor.listed = [person(1), person(2)]
    assert not (await vendor.connect().check()).ok


async def test_a_token_whose_roles_are_hidden_is_judged_by_what_it_sees() -> None:
    vendor = FakeOkta()
    vendor.roles = None
    assert (await vendor.connect().check()).ok
    vendor.shut = {"logs"}
    check = await vendor.connect().check()
    assert check.missing == ("Read-only Administrator",)
    assert "System Log" in check.detail


async def test_a_role_that_may_change_things_is_warned_of() -> None:
    vendor = FakeOkta()
    vendor.roles = [{"type": "SUPER_ADMIN", "label": "Super Administrator", "status": "ACTIVE"}]
    check = await vendor.connect().check()
    assert check.ok
    assert check.granted == ("Super Administrator",)
    assert "more than read" in check.warnings[0]


async def test_check_never_touches_the_token_itself() -> None:
    vendor = FakeOkta()
    await vendor.connect().check()
    assert {request.method for request in vendor.requests} == {"GET"}
    assert not [request for request in vendor.requests if "api-tokens" in request.url.path]


async def test_a_service_applications_missing_scopes_are_named() -> None:
    vendor = FakeOktaService()
    vendor.shut = {"logs", "roles"}
    check = await vendor.connect().check()
    assert check.missing == ("okta.logs.read",)
    assert check.granted == ("okta.users.read", "okta.apps.read")
    assert check.subject == "…vice"


async def test_a_service_application_without_a_role_sees_nobody() -> None:
    vendor = FakeOktaService()
    vendor.shut, vendor.listed = {"roles"}, []
    assert (await vendor.connect().check()).missing == ("Read-only Administrator",)


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_scope"), (400, "consent_required")])
async def test_scopes_that_were_not_granted_are_all_named(status: int, code: str) -> None:
    class Refusing(FakeOktaService):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(status, json={"error": code, "error_description": "no"})

    check = await Refusing().connect().check()
    assert check.missing == ("okta.users.read", "okta.apps.read", "okta.logs.read")
    assert check.code == "insufficient_permissions"


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("https://acme-admin.okta.com", "https://acme.okta.com"),
        ("https://acme-admin.oktapreview.com/admin/users", "https://acme.oktapreview.com"),
        ("acme.okta.com", "https://acme.okta.com"),
        ("http://acme.okta.com", "https://acme.okta.com"),
        ("https://acme.okta.com/app/UserHome", "https://acme.okta.com"),
        ("not a url", "https://acme.okta.com"),
    ],
)
def test_a_wrong_sso_url_is_answered_with_the_right_one(value: str, right: str) -> None:
    (error,) = MANIFEST.option_errors({"sso_url": value})
    assert right in error.detail


@pytest.mark.parametrize(
    "value", ["https://acme.okta.com", "https://Acme.okta.com/", "https://login.acme.example:8443"]
)
def test_a_right_sso_url_is_taken(value: str) -> None:
    assert MANIFEST.option_errors({"sso_url": value}) == []


def test_one_organization_has_one_budget_however_it_is_spelled() -> None:
    spelled = {registry.vendor_tenant("okta", {"sso_url": url}) for url in (HOST, "https://ACME.okta.com/")}
    assert spelled == {"okta:acme.okta.com"}
