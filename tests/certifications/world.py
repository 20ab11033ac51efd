"""A tenant that is connected, and books to map its sources to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from app.certifications.source_accounts import run_source
from tests.api.books import Books
from tests.certifications.isc import SECRET, Tenant
from tests.conftest import Api

MAPPINGS = "/v1/source-mappings"


@dataclass(frozen=True)
class World:
    """One instance, covered for its last 100 days, with one application behind a sign-on provider."""

    api: Api
    tenant: Tenant
    tenant_id: str
    books: Books
    instance: UUID
    application: UUID

    @classmethod
    async def make(cls, api: Api, tenant: Tenant, **options: Any) -> World:
        tenant_id = await connect(api, tenant, **options)
        books = Books(api.runtime.database)
        instance = await books.instance(f"Okta {uuid4()}", covered=100)
        return cls(api, tenant, tenant_id, books, instance, await books.application(instance, "Ledgerly"))

    def pair(self, source_id: str, **more: Any) -> dict[str, Any]:
        ids = {"application_id": str(self.application), "instance_id": str(self.instance)}
        return {"tenant_id": self.tenant_id, "source_id": source_id, **ids, **more}

    async def map(self, source_id: str, **more: Any) -> dict[str, Any]:
        answer = await self.api.post(MAPPINGS, json=self.pair(source_id, **more))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def read(self, source_id: str) -> None:
        """Work the job that a mapping asked for."""
        assert await run_source(self.api.runtime, UUID(self.tenant_id), source_id, asyncio.Event()) is None


async def connect(api: Api, tenant: Tenant, *, secret: str = SECRET, **options: Any) -> str:
    body = {
        "name": f"ISC {uuid4()}",
        "connector": "sailpoint-isc",
        "scheme": "oauth2_client_credentials",
        "secrets": {"client_id": "client-1", "client_secret": secret},
        "options": {"api_url": tenant.url, **options},
    }
    answer = await api.post("/v1/credentials", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
