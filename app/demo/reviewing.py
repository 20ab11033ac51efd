"""A review of access in SailPoint is given evidence: whose seat is used, and a signature that an auditor can check."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from rich.markup import escape

from app.core.errors import SeatwiseError
from app.demo.client import DemoClient
from app.demo.connecting import connect
from app.demo.seats import Use
from app.demo.simulated import IscSide

ALGORITHM = "ES256"
WINDOWS = ["30d", "60d", "90d"]
SAMPLE = 10


class Reviewing:
    """Told through the public API."""

    def __init__(self, api: DemoClient, say: Callable[[str], None], isc: IscSide) -> None:
        self._api = api
        self._say = say
        self._isc = isc

    async def tell(self, use: Use) -> None:
        """use: the application whose seats are reviewed."""
        self._say("SailPoint reviews who may do what, and asks what is used:")
        tenant_id = await connect(self._api, self._isc.connection, self._say)
        mapping = await self._mapped(tenant_id, use)
        tested = await self._api.post(f"/v1/source-mappings/{mapping['id']}/test", {"sample": SAMPLE})
        absent = f" Not there: {escape(', '.join(tested['missing']))}." if tested["missing"] else ""
        self._say(f"  Of {tested['sampled']} accounts {tested['found']} are found in the source.{absent}")
        asked = {
            "source_id": mapping["source_id"],
            "accounts": [email for usage in ("used", "unused") async for email in self._holders(use, usage)],
            "windows": WINDOWS,
        }
        answer = await self._api.post("/v1/certifications/activity", asked)
        self._say(f"A reviewer of {escape(answer['source_name'])} asks about {len(answer['items'])} of them:")
        for item in answer["items"]:
            self._say(f"  {escape(item['account'])}: [bold]{item['recommendation']}[/]. {escape(item['reason'])}")
        await self._prove(asked)

    async def _mapped(self, tenant_id: str, use: Use) -> dict[str, Any]:
        """A tie between the application and the source that is suggested for it."""
        sources = await self._api.total(f"/v1/isc/tenants/{tenant_id}/sources")
        found = self._api.items("/v1/source-mappings/suggestions", tenant_id=tenant_id)
        suggestions = [suggestion async for suggestion in found]
        best = next((one for one in suggestions if one["application_id"] == use.application_id), None)
        if best is None:
            raise SeatwiseError(f"No source of SailPoint is suggested for {use.name}.")
        self._say(f"  It has {sources} sources; {len(suggestions)} ties to applications are suggested, among them:")
        self._say(f"  “{escape(best['source_name'])}” for {escape(use.name)}: {escape(best['reason'])}")
        ends = {key: best[key] for key in ("source_id", "application_id", "instance_id")}
        return await self._api.post("/v1/source-mappings", {"tenant_id": tenant_id, **ends})

    async def _holders(self, use: Use, usage: str) -> AsyncIterator[str]:
        """The e-mail of somebody with a seat of the application and this use of it, if there is anybody."""
        query = {"application_id": use.application_id, "seat": "assigned", "usage": usage, "window": WINDOWS[-1]}
        for account in (await self._api.get("/v1/accounts", **query, limit=1))["items"]:
            yield str(account["email"])

    async def _prove(self, asked: dict[str, Any]) -> None:
        evidence = (await self._api.post_for_text("/v1/certifications/evidence", asked)).strip()
        published = await self._api.get("/.well-known/jwks.json")
        keys = KeySet.import_key_set({"keys": published["keys"]})
        try:
            proved = jws.deserialize_compact(evidence, keys, algorithms=[ALGORITHM])
        except JoseError as error:
            raise SeatwiseError(f"The evidence cannot be proved: {error}") from None
        said = msgspec.json.decode(proved.payload, type=dict[str, Any])
        self._say(
            f"The same answer as evidence for an auditor, {len(evidence):,} bytes: its signature ({ALGORITHM}) was "
            f"proved offline with the published key; issued {said['issued_at'][:19]}Z by {escape(said['issuer'])}."
        )
