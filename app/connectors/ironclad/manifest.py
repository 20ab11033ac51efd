"""What Ironclad Clickwrap asks for, needs to be granted, and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.manifest import Manifest, MappingRow, Option, Permission, Scheme, Secret, SourceField
from app.connectors.urls import api_url_option, auth_url_option, base_url
from app.http.ports import Quota

API = "https://api.pactsafe.com/v1.1"
AUTH = "https://api.pactsafe.com"

SITES = Permission("List sites", "Tells which accounts there are, and which sites give their members a role.")
MEMBERS = Permission("List account members", "Lists the users of each account.")

MANIFEST = Manifest(
    key="ironclad-clickwrap",
    name="Ironclad Clickwrap",
    vendor="Ironclad",
    category="saas",
    schemes=(
        Scheme(
            "oauth2_client_credentials",
            "Client credentials of an API application",
            (Secret("client_id", "Client ID"), Secret("client_secret", "Client secret")),
        ),
    ),
    options=(
        Option(
            name="token_encoding",
            title="Encoding of the token request",
            description="How client ID and secret are sent when a token is asked for: as a form, or as JSON.",
            choices=("form", "json"),
            default="form",
        ),
        api_url_option(API),
        auth_url_option(AUTH, "/oauth/token"),
    ),
    streams=("users",),
    fields=(
        SourceField("email", "E-mail", "The user's e-mail address; it is the username too."),
        SourceField("username", "Username", "The user's e-mail address."),
        SourceField("name", "Name", "The user's full name, else the e-mail address."),
        SourceField("role", "Role", "The user's roles on all sites, in the order of the alphabet."),
        SourceField("locale", "Locale", "Language and country, such as en-US.", filterable=True),
        SourceField("time_zone", "Time Zone", "The user's time zone, as Clickwrap writes it.", filterable=True),
        SourceField("user_id", "User Id", "Clickwrap's number of the user.", type="number", filterable=True),
        SourceField(
            "verified", "Verified", "Whether the e-mail address was confirmed.", type="boolean", filterable=True
        ),
        SourceField("verified_time", "Verified Time", "When it was confirmed.", type="datetime", filterable=True),
    ),
    permissions=(SITES, MEMBERS),
    setup=(
        (
            "Sign in to Clickwrap as a user made for Seatwise, who belongs to every account that shall "
            "be read: a token has the rights of its owner, and is lost when the owner leaves."
        ),
        (
            "In the user's profile, open API Keys and register an API key for Seatwise alone: asking for "
            "a token may end the one in use, so that two programs with one key would shut each other out."
        ),
        "Copy the client ID and the client secret, which are shown once, into a new credential.",
    ),
    default_mapping=(
        MappingRow("email", "email"),
        MappingRow("username", "username"),
        MappingRow("name", "name"),
        MappingRow("role", "role"),
    ),
    quotas={"rest": Quota(2000, 60.0)},
    capabilities=("roles", "resume"),
)


def api_base(options: Mapping[str, Any]) -> str:
    return base_url(options, "api_url", API)


def token_url(options: Mapping[str, Any]) -> str:
    return f"{base_url(options, 'auth_url', AUTH)}/oauth/token"
