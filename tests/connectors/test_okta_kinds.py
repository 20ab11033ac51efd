"""What an Okta entry tells of how it is signed on to, and where it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.connectors.contract import Application
from app.connectors.okta.records import read_application


def read(**more: Any) -> Application:
    record = {"id": "0oa1", "name": "desk", "label": "Desk", "status": "ACTIVE", **more}
    application = read_application(msgspec.Raw(msgspec.json.encode(record)))
    assert isinstance(application, Application)
    return application


@pytest.mark.parametrize("mode", ["BROWSER_PLUGIN", "AUTO_LOGIN", "SECURE_PASSWORD_STORE", "BASIC_AUTH", "BOOKMARK"])
def test_kinds_that_work_without_okta_are_told(mode: str) -> None:
    assert read(signOnMode=mode).bypass_kind == mode


@pytest.mark.parametrize("mode", ["SAML_2_0", "OPENID_CONNECT", "WS_FEDERATION", None, 7, "SOMETHING_NEW"])
def test_others_lead_through_okta(mode: object) -> None:
    assert read(signOnMode=mode).bypass_kind is None


@pytest.mark.parametrize(
    ("settings", "domain"),
    [
        ({"signOn": {"ssoAcsUrl": "https://Acme.Zendesk.com/access/saml"}}, "acme.zendesk.com"),
        ({"app": {"url": "https://desk.example/login"}, "signOn": None}, "desk.example"),
        ({"app": {"url": "not a url"}}, None),
        ({"app": {"url": "https://[broken/"}}, None),
        ({"app": {}}, None),
        ("text", None),
        (None, None),
    ],
)
def test_the_domain_is_where_the_settings_lead(settings: object, domain: str | None) -> None:
    assert read(settings=settings).domain == domain
