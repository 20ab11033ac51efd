"""What PingOne asks for, needs to be granted, and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.manifest import Manifest, MappingRow, Option, Permission, Scheme, Secret, SourceField
from app.connectors.urls import api_url_option, auth_url_option, base_url
from app.http.ports import Quota

REGIONS = ("com", "ca", "eu", "asia", "com.au", "sg")

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_UUID_HINT = "It is a UUID such as 6f1c0d4e-0000-4000-8000-000000000001; PingOne shows it on the environment's page."

DEVELOPER = Permission(
    name="Client Application Developer",
    reason="Lists the applications and what controls access to them.",
    accepted=("Configuration Read-Only Admin", "Configuration Read Only"),
)
ENVIRONMENT = Permission(
    name="Environment Admin",
    reason="Reads the groups and the audit events that tell who signed on where.",
    accepted=("Configuration Read-Only Admin", "Configuration Read Only"),
)
IDENTITY = Permission(
    name="Identity Data Admin",
    reason="Lists the users and who is a member of which group.",
    accepted=("Identity Data Read-Only Admin", "Identity Data Read Only"),
)

MANIFEST = Manifest(
    key="pingone",
    name="PingOne SSO",
    vendor="Ping Identity",
    category="sso",
    schemes=(
        Scheme(
            "oauth2_client_credentials",
            "Client credentials of a worker application",
            (Secret("client_id", "Client ID"), Secret("client_secret", "Client secret")),
        ),
    ),
    options=(
        Option(
            name="region",
            title="Region",
            description="Where the environment lives, as the ending of PingOne's host names.",
            required=True,
            choices=REGIONS,
            hint="North America is com, Canada ca, Europe eu, Asia-Pacific asia, Australia com.au, Singapore sg.",
        ),
        Option(
            name="environment_id",
            title="Environment ID",
            description="The environment whose users and applications are read.",
            required=True,
            pattern=_UUID,
            hint=_UUID_HINT,
        ),
        Option(
            name="auth_environment_id",
            title="Environment ID of the worker application",
            description="Needed only where the worker application lives in another environment than the one read.",
            pattern=_UUID,
            hint=_UUID_HINT,
        ),
        Option(
            name="auth_method",
            title="Token endpoint authentication method",
            description="The method chosen in the worker application's configuration.",
            choices=("client_secret_post", "client_secret_basic"),
            default="client_secret_post",
        ),
        Option(
            name="include_own_applications",
            title="Include PingOne's own applications",
            description="Also lists workers, services and PingOne's consoles and portals as applications.",
            type="boolean",
            default=False,
        ),
        api_url_option("https://api.pingone.<region>/v1"),
        auth_url_option("https://auth.pingone.<region>", "/<environment>/as/token"),
    ),
    streams=("users", "applications", "assignments", "activity"),
    fields=(
        SourceField("email", "E-mail", "The user's e-mail address."),
        SourceField("username", "Username", "The name the user signs on with."),
        SourceField("name", "Name", "The formatted name, else given and family name, else username, else e-mail."),
        SourceField("given_name", "Given name", "The user's given name."),
        SourceField("family_name", "Family name", "The user's family name."),
        SourceField(
            "can_authenticate",
            "Can Authenticate",
            "Whether the account may sign on now; false while it is locked or disabled.",
            type="boolean",
            filterable=True,
        ),
        SourceField("locality", "Locality", "City of the user's address.", filterable=True),
        SourceField(
            "mfa_enabled", "MFA Enabled", "Whether a second factor is switched on.", type="boolean", filterable=True
        ),
        SourceField("region", "Region", "State or province of the user's address.", filterable=True),
        SourceField(
            "status",
            "Status",
            "disabled, locked, verification_required or active: the first that holds.",
            filterable=True,
        ),
        SourceField("type", "Type", "The kind of user, in the organization's own words.", filterable=True),
        SourceField(
            "verify_status",
            "Verify Status",
            "Whether the user's identity can be verified: NOT_INITIATED, ENABLED or DISABLED.",
            filterable=True,
        ),
    ),
    permissions=(DEVELOPER, ENVIRONMENT, IDENTITY),
    setup=(
        "Sign in to the PingOne console with the account that shall own the connection, not with your personal one.",
        "Under Connections > Applications, add an application of the type Worker and give it a name.",
        "Leave the attribute mapping as it is, and switch the application on.",
        (
            "In its configuration, tick the grant type Client Credentials and set the token endpoint "
            "authentication method to Client Secret Post (Client Secret Basic works too: then set the "
            "option auth_method)."
        ),
        (
            "On its Roles tab, grant Client Application Developer, Environment Admin and Identity Data "
            "Admin for the whole environment, or their read-only kin Configuration Read-Only Admin and "
            "Identity Data Read-Only Admin."
        ),
        "Copy the client ID and the client secret of the application into a new credential.",
        "Copy the environment ID, and choose the region in lower case.",
    ),
    default_mapping=(
        MappingRow("email", "email"),
        MappingRow("username", "username"),
        MappingRow("name", "name"),
        MappingRow("given_name", "given_name"),
        MappingRow("family_name", "family_name"),
    ),
    activity_days=14,
    quotas={"audit": Quota(10, 1.0), "configuration": Quota(600, 60.0)},
    capabilities=("detect_applications", "group_access", "activity_by_user", "resume"),
)


def documented_api(options: Mapping[str, Any]) -> str:
    return f"https://api.pingone.{options['region']}/v1"


def api_base(options: Mapping[str, Any]) -> str:
    return base_url(options, "api_url", documented_api(options))


def auth_environment(options: Mapping[str, Any]) -> str:
    """The environment the worker application lives in: the one read, unless told otherwise."""
    return str(options.get("auth_environment_id") or options["environment_id"])


def token_url(options: Mapping[str, Any]) -> str:
    base = base_url(options, "auth_url", f"https://auth.pingone.{options['region']}")
    return f"{base}/{auth_environment(options)}/as/token"
