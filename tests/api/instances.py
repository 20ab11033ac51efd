"""Instances as the tests of their routes make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from app.connectors.contract import Check
from tests.conftest import Api

OKTA = {"connector": "okta", "options": {"sso_url": "https://acme.okta.com"}}
FULL_ROW = {"transform": None, "on": "create_and_update", "default": None}
PINGONE_OPTIONS = {"region": "eu", "environment_id": "6f1c0d4e-0000-4000-8000-000000000001"}


async def make(api: Api, **members: Any) -> dict[str, Any]:
    answer = await api.post("/v1/instances", json={"name": f"Okta {uuid4()}", **OKTA, **members})
    assert answer.status_code == 201, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def make_credential(api: Api, **members: Any) -> str:
    body = {"name": "Reader", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": "00abc"}, **members}
    answer = await api.post("/v1/credentials", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def make_live(api: Api, **members: Any) -> dict[str, Any]:
    made = await make(api, credential_id=await make_credential(api), **members)
    launched = await api.post(f"/v1/instances/{made['id']}/launch")
    assert launched.status_code == 202, launched.text
    content: dict[str, Any] = (await api.get(f"/v1/instances/{made['id']}")).json()
    return content


async def finish_syncs(api: Api, instance_id: str) -> None:
    await api.runtime.database.pool.execute(
        "UPDATE syncs SET status = 'succeeded', finished_at = now() WHERE instance_id = $1", instance_id
    )


Vendor = Callable[[Check | Exception], list[dict[str, Any]]]

GOOD = Check(ok=True, tenant="acme.okta.com", subject="reader", granted=("Read-only Administrator",))
REFUSED = Check(ok=False, tenant=None, subject=None, code="credential_refused", detail="The token is invalid.")
