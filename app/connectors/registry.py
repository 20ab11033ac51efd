"""All connectors by their key: how each is described, how it proves itself, how it is connected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.connectors import ironclad, okta, pingone, sailpoint
from app.connectors.contract import Connector
from app.connectors.ironclad import manifest as ironclad_form
from app.connectors.manifest import Manifest
from app.connectors.okta import manifest as okta_form
from app.connectors.pingone import manifest as pingone_form
from app.connectors.sailpoint import manifest as sailpoint_form
from app.core.errors import FieldError, InvalidInput, NotFound
from app.http.auth import Auth, ClientCredentials, PrivateKeyJwt, StaticToken
from app.http.masking import repeated
from app.http.vendor import ErrorReader, VendorClient

Texts = Mapping[str, str]
Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Entry:
    """flow    from scheme, secrets and options.
    tenant  names whose rate budget is shared, from options and client id.
    base    the URL before the API's paths, from options.
    """

    manifest: Manifest
    flow: Callable[[str, Texts, Options], Auth]
    tenant: Callable[[Options, str | None], str]
    connect: Callable[[Options, VendorClient, str | None], Connector]
    errors: ErrorReader
    base: Callable[[Options], str]


def manifest(key: str) -> Manifest:
    """Raises NotFound, naming the connectors there are."""
    return _entry(key).manifest


def token_flow(key: str, scheme: str, secrets: Texts, options: Options) -> Auth:
    """How to ask for a token. Raises InvalidInput for a scheme or an option the connector lacks, NotFound."""
    _require_scheme(key, scheme)
    _require_options(key, options)
    return _entry(key).flow(scheme, secrets, options)


def token_audience(key: str, scheme: str, secrets: Texts, options: Options) -> str:
    """Names the one token that a credential has towards one token endpoint; holds no secret."""
    flow = token_flow(key, scheme, secrets, options)
    if isinstance(flow, ClientCredentials | PrivateKeyJwt):
        return " ".join(part for part in (flow.token_url, flow.client_id, flow.scope) if part)
    return f"{key} {scheme} {vendor_tenant(key, options)}"


def vendor_tenant(key: str, options: Options, *, client_id: str | None = None) -> str:
    """The tenant whose rate budget all its instances share. Clickwrap's and SailPoint's are known by `client_id`: their
    limits belong to the client.
    """
    _require_options(key, options)
    override = options.get("api_url")
    tenant = _entry(key).tenant(options, client_id)
    return f"{tenant}@{str(override).rstrip('/').lower()}" if override else tenant


def api_base(key: str, options: Options) -> str:
    """The URL before the paths of the API that an instance with these options calls. Raises InvalidInput."""
    _require_options(key, options)
    return _entry(key).base(options)


def vendor_host(key: str, options: Options) -> str:
    """The host (and port) of that API, in lower case. Raises InvalidInput."""
    return urlsplit(api_base(key, options)).netloc.lower()


def connect(key: str, options: Options, client: VendorClient, *, client_id: str | None = None) -> Connector:
    """A connector that calls through `client`. `client_id`, where the scheme has one, lets `check` look up whose roles
    it has; it must be left out for tokens without one.
    """
    _require_options(key, options)
    return _entry(key).connect(options, client, client_id)


def error_reader(key: str) -> ErrorReader:
    return _entry(key).errors


def _entry(key: str) -> _Entry:
    entry = _ENTRIES.get(key)
    if entry is None:
        raise NotFound(f"There is no connector {repeated(key)}; there are {', '.join(_ENTRIES)}.")
    return entry


def _require_scheme(key: str, scheme: str) -> None:
    known = [s.scheme for s in manifest(key).schemes]
    if scheme not in known:
        raise InvalidInput.at(
            "#/scheme", f"{manifest(key).name} has no scheme {repeated(scheme)}; it has {', '.join(known)}."
        )


def _require_options(key: str, options: Options) -> None:
    errors: list[FieldError] = manifest(key).missing_options(options)
    if errors:
        raise InvalidInput(errors)


def _pingone_flow(_scheme: str, secrets: Texts, options: Options) -> Auth:
    return ClientCredentials(
        pingone_form.token_url(options),
        secrets["client_id"],
        secrets["client_secret"],
        options.get("auth_method") or "client_secret_post",
    )


def _pingone_tenant(options: Options, _client_id: str | None) -> str:
    return f"pingone:{options['region']}:{str(options['environment_id']).lower()}"


def _okta_flow(scheme: str, secrets: Texts, options: Options) -> Auth:
    if scheme == "api_token":
        return StaticToken("SSWS", secrets["api_token"])
    return PrivateKeyJwt(
        okta_form.token_url(options),
        secrets["client_id"],
        secrets["private_key"],
        secrets.get("key_id") or None,
        " ".join(okta_form.SCOPES),
    )


def _okta_tenant(options: Options, _client_id: str | None) -> str:
    return f"okta:{okta_form.sso_url(options).removeprefix('https://')}"


def _ironclad_flow(_scheme: str, secrets: Texts, options: Options) -> Auth:
    return ClientCredentials(
        ironclad_form.token_url(options),
        secrets["client_id"],
        secrets["client_secret"],
        "client_secret_post",
        encoding=options.get("token_encoding") or "form",
    )


def _ironclad_tenant(_options: Options, client_id: str | None) -> str:
    return f"ironclad-clickwrap:{client_id or ''}"


def _sailpoint_flow(_scheme: str, secrets: Texts, options: Options) -> Auth:
    return ClientCredentials(
        sailpoint_form.token_url(options), secrets["client_id"], secrets["client_secret"], "client_secret_post"
    )


def _sailpoint_tenant(_options: Options, client_id: str | None) -> str:
    return f"sailpoint-isc:{client_id or ''}"


_ENTRIES: dict[str, _Entry] = {
    entry.manifest.key: entry
    for entry in (
        _Entry(
            pingone.MANIFEST, _pingone_flow, _pingone_tenant, pingone.PingOne, pingone.read_fault, pingone_form.api_base
        ),
        _Entry(okta.MANIFEST, _okta_flow, _okta_tenant, okta.Okta, okta.read_fault, okta_form.api_base),
        _Entry(
            ironclad.MANIFEST,
            _ironclad_flow,
            _ironclad_tenant,
            ironclad.IroncladClickwrap,
            ironclad.read_fault,
            ironclad_form.api_base,
        ),
        _Entry(
            sailpoint.MANIFEST,
            _sailpoint_flow,
            _sailpoint_tenant,
            sailpoint.SailPoint,
            sailpoint.read_fault,
            sailpoint_form.api_base,
        ),
    )
}

MANIFESTS: dict[str, Manifest] = {key: entry.manifest for key, entry in _ENTRIES.items()}
