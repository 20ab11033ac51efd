"""What SailPoint Identity Security Cloud asks for, and needs to be granted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.connectors.manifest import Manifest, Option, Permission, Scheme, Secret
from app.connectors.urls import api_url_option, auth_url_option, base_url
from app.http.ports import Quota

DOCUMENTED = "https://<tenant>.api.identitynow.com"
BUCKET = "rest"
ENVIRONMENTS = ("production", "staging", "development")

SOURCES = Permission("idn:sources:read", "Lists the sources that applications are mapped to.", ("idn:sources:manage",))
ACCOUNTS = Permission(
    "idn:accounts:read", "Lists a source's accounts, so that each is found in the books.", ("idn:accounts:manage",)
)

_TENANT_DOMAINS = (".identitynow.com", ".identitynow-demo.com")


def _api_host_instead(url: str) -> str | None:
    """The host that people see in the browser is not the one that answers the API."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    for domain in _TENANT_DOMAINS:
        tenant = host.removesuffix(domain)
        if tenant not in (host, "") and "." not in tenant:
            return f"This is the tenant's web page. Type https://{tenant}.api{domain} instead."
    return None


_API_URL = api_url_option(DOCUMENTED)

MANIFEST = Manifest(
    key="sailpoint-isc",
    name="SailPoint Identity Security Cloud",
    vendor="SailPoint",
    category="directory",
    schemes=(
        Scheme(
            "oauth2_client_credentials",
            "Personal access token, or API client with client credentials",
            (Secret("client_id", "Client ID"), Secret("client_secret", "Client secret")),
        ),
    ),
    options=(
        Option(
            name="api_url",
            title="API URL",
            description=f"Where the tenant's API is: {DOCUMENTED}, or its vanity host.",
            required=True,
            pattern=_API_URL.pattern,
            hint=_API_URL.hint,
            format="uri",
            validate=_api_host_instead,
        ),
        Option(
            name="environment",
            title="Environment",
            description="Which environment the tenant is; where it is absent, a word of each source's name tells.",
            choices=ENVIRONMENTS,
        ),
        auth_url_option("the API URL", "/oauth/token"),
    ),
    streams=(),
    fields=(),
    permissions=(SOURCES, ACCOUNTS),
    setup=(
        (
            "Sign in to Identity Security Cloud as a service user made for Seatwise, with the user level Source Admin "
            "or higher: a personal access token acts as its user."
        ),
        (
            "In the user's preferences, open Personal Access Tokens and make one with the scopes idn:sources:read and "
            "idn:accounts:read. An API client with the grant type Client Credentials and these scopes does as well."
        ),
        "Copy its ID as client_id and its secret, which is shown once, as client_secret into a new credential.",
        "Type the tenant's API URL as the option api_url, and say which environment the tenant is.",
    ),
    default_mapping=(),
    quotas={BUCKET: Quota(100, 10.0)},
    capabilities=("source_mappings", "certifications"),
)


def api_base(options: Mapping[str, Any]) -> str:
    return base_url(options, "api_url", "")


def token_url(options: Mapping[str, Any]) -> str:
    return f"{base_url(options, 'auth_url', api_base(options))}/oauth/token"
