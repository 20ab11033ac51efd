"""What a service that has been lived in knows: ids for a fuzzer, which would not guess one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

# Where the ids of each parameter are listed; beneath something else, under each of what that is.
_LISTED = {
    "account_id": "/v1/accounts",
    "application_id": "/v1/applications",
    "contract_id": "/v1/contracts",
    "credential_id": "/v1/credentials",
    "entry_id": "/v1/catalog",
    "instance_id": "/v1/instances",
    "key_id": "/v1/api-keys",
    "mapping_id": "/v1/source-mappings",
    "notification_id": "/v1/notifications",
    "person_id": "/v1/people",
    "report_id": "/v1/reports",
    "sync_id": "/v1/syncs",
    "tenant_id": "/v1/isc/tenants",
    "webhook_id": "/v1/webhooks",
}
_BENEATH = {
    "plan_id": ("instance_id", "/v1/instances/{}/plans"),
    "run_id": ("report_id", "/v1/reports/{}/runs"),
    "delivery_id": ("webhook_id", "/v1/webhooks/{}/deliveries"),
    "source_id": ("tenant_id", "/v1/isc/tenants/{}/sources"),
}
_MOST = 20


def known_ids(url: str, key: str) -> dict[str, list[str]]:
    """Some ids of everything that a service has, by the name of the parameter that takes them."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        found = {name: list(_ids(client, path)) for name, path in _LISTED.items()}
        for name, (above, path) in _BENEATH.items():
            found[name] = [id_ for each in found[above] for id_ in _ids(client, path.format(each))][:_MOST]
    return {name: ids for name, ids in found.items() if ids}


def as_dictionaries(known: dict[str, list[str]]) -> str:
    """A piece of schemathesis's configuration: nine times of ten a parameter of that name is one of these."""
    lists = [f"[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n" for name, ids in known.items()]
    bound = [
        f'"{place}.{name}" = {{ dictionary = "{name}", probability = 0.9 }}'
        for name in known
        for place in ("path", "query")
    ]
    return "\n".join([*lists, "[parameters]", *bound, ""])


def _ids(client: httpx.Client, path: str) -> Iterator[str]:
    answer = client.get(path, params={"limit": _MOST})
    answer.raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return (item["id"] for item in items)
