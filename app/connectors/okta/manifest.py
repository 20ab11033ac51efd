"""What Okta asks for, needs to be granted, and gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from app.connectors.manifest import Manifest, MappingRow, Option, Permission, Scheme, Secret, SourceField
from app.connectors.urls import api_url_option, auth_url_option, base_url
from app.http.masking import repeated

USERS_SCOPE = "okta.users.read"
APPS_SCOPE = "okta.apps.read"
LOGS_SCOPE = "okta.logs.read"
SCOPES = (USERS_SCOPE, APPS_SCOPE, LOGS_SCOPE)
READ_ONLY = "Read-only Administrator"

OKTA_DOMAINS = ("okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com", "okta.mil")

_SSO_URL = r"https://[A-Za-z0-9.-]+(?::\d+)?/?"
_ANY_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?([a-z0-9.-]+(?::\d+)?)(?:[/?#]\S*)?", re.IGNORECASE)


def sso_url_problem(value: str) -> str | None:
    """What to type instead, None for `https://` and a host that is not the admin console's."""
    written = _ANY_URL.fullmatch(value.strip())
    if written is None:
        return f"{repeated(value)} is no Okta URL. Type it as https://acme.okta.com."
    host = written[1].lower()
    label, dot, domain = host.partition(".")
    if label.endswith("-admin") and domain.split(":")[0] in OKTA_DOMAINS:
        right = f"https://{label.removesuffix('-admin')}{dot}{domain}"
        return f"{repeated(value)} is the address of the admin console. Type {right} instead."
    if not re.fullmatch(_SSO_URL, value):
        return f"Type https://{host} instead of {repeated(value)}: https:// and the host, nothing else."
    try:
        httpx.URL(value)
    except httpx.InvalidURL:
        return f"{repeated(value)} is no URL that can be called. Type it as https://acme.okta.com."
    return None


MANIFEST = Manifest(
    key="okta",
    name="Okta",
    vendor="Okta",
    category="sso",
    schemes=(
        Scheme("api_token", "API token (SSWS)", (Secret("api_token", "API token"),)),
        Scheme(
            "oauth2_private_key_jwt",
            "Service application with a private key",
            (
                Secret("client_id", "Client ID"),
                Secret("private_key", "Private key, as PEM or JWK"),
                Secret("key_id", "Key ID", required=False),
            ),
        ),
    ),
    options=(
        Option(
            name="sso_url",
            title="SSO URL",
            description="The address your people sign on at, such as https://acme.okta.com.",
            required=True,
            pattern=_SSO_URL,
            validate=sso_url_problem,
        ),
        Option(
            name="include_own_applications",
            title="Include Okta's own applications",
            description="Also lists the Admin Console and the Dashboard as applications.",
            type="boolean",
            default=False,
        ),
        api_url_option("the SSO URL before /api/v1"),
        auth_url_option("the SSO URL", "/oauth2/v1/token"),
    ),
    streams=("users", "applications", "assignments", "activity"),
    fields=(
        SourceField("email", "E-mail", "The profile's email."),
        SourceField("username", "Username", "The profile's login."),
        SourceField("name", "Name", "The display name, else first and last name, else login, else e-mail."),
        SourceField("given_name", "Given name", "The profile's firstName."),
        SourceField("family_name", "Family name", "The profile's lastName."),
        SourceField("status", "Status", "Okta's word for the user's state, such as ACTIVE.", filterable=True),
        *(
            SourceField(name, title, f"The profile's {attribute}.", filterable=True)
            for name, title, attribute in (
                ("login", "Login", "login"),
                ("first_name", "First name", "firstName"),
                ("last_name", "Last name", "lastName"),
                ("display_name", "Display name", "displayName"),
                ("nick_name", "Nickname", "nickName"),
                ("second_email", "Second e-mail", "secondEmail"),
                ("title", "Title", "title"),
                ("user_type", "User type", "userType"),
                ("employee_number", "Employee number", "employeeNumber"),
                ("organization", "Organization", "organization"),
                ("division", "Division", "division"),
                ("department", "Department", "department"),
                ("cost_center", "Cost center", "costCenter"),
                ("manager", "Manager", "manager"),
                ("manager_id", "Manager ID", "managerId"),
                ("city", "City", "city"),
                ("state", "State", "state"),
                ("country_code", "Country code", "countryCode"),
                ("locale", "Locale", "locale"),
                ("timezone", "Time zone", "timezone"),
            )
        ),
    ),
    permissions=(
        Permission(
            READ_ONLY,
            "Lets the token's owner, or the service application, see users, applications and the System Log.",
            accepted=("Super Administrator", "Organization Administrator"),
        ),
        Permission(USERS_SCOPE, "Lists users; needed with a service application only."),
        Permission(APPS_SCOPE, "Lists applications and their users; needed with a service application only."),
        Permission(LOGS_SCOPE, "Reads sign-ons from the System Log; needed with a service application only."),
    ),
    setup=(
        (
            "In the Okta Admin Console, create a user of its own for Seatwise and give it the role "
            "Read-only Administrator: a token can do what its owner can."
        ),
        (
            "With an API token: sign in as that user, open Security > API > Tokens and create a token. "
            "Copy it at once, Okta shows it only then. A token that nobody uses for 30 days expires."
        ),
        (
            "Without API tokens: create an app integration of the type API Services, choose public key / "
            "private key as its client authentication, grant the scopes okta.users.read, okta.apps.read "
            "and okta.logs.read, and assign it the role Read-only Administrator. Switch off the "
            "requirement of a DPoP proof (dpop_bound_access_tokens)."
        ),
        "Copy the SSO URL, for example https://acme.okta.com, not the one of the admin console.",
    ),
    default_mapping=(
        MappingRow("email", "email"),
        MappingRow("username", "username"),
        MappingRow("name", "name"),
        MappingRow("given_name", "given_name"),
        MappingRow("family_name", "family_name"),
    ),
    activity_days=90,
    capabilities=("detect_applications", "labels", "assignments", "activity_by_user", "incremental_activity", "resume"),
)


def sso_url(options: Mapping[str, Any]) -> str:
    """`https://host`, in lower case, no slash at its end."""
    return str(options["sso_url"]).rstrip("/").lower()


def api_base(options: Mapping[str, Any]) -> str:
    return base_url(options, "api_url", sso_url(options))


def token_url(options: Mapping[str, Any]) -> str:
    return f"{base_url(options, 'auth_url', sso_url(options))}/oauth2/v1/token"


def is_okta_domain(host: str) -> bool:
    return host.endswith(tuple(f".{domain}" for domain in OKTA_DOMAINS))


def organization_hosts(options: Mapping[str, Any], link: str) -> frozenset[str]:
    """The host of a next link, where it may be this organization's own: behind a custom domain Okta writes links with
    its own, which cannot be known beforehand. A link's path is followed on the configured host in any case.
    """
    try:
        host = httpx.URL(link).host
    except (httpx.InvalidURL, UnicodeError):
        return frozenset()
    custom = not is_okta_domain(httpx.URL(sso_url(options)).host)
    return frozenset({host}) if custom and is_okta_domain(host) else frozenset()
