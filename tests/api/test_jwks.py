"""The public keys of signed evidence: open to all, retired ones kept, no private part ever."""

from __future__ import annotations

import asyncio
from secrets import token_bytes

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey, KeySet

from app.access.links import RunLinks
from app.access.signing_keys import SigningKeys
from app.access.tokens import Tokens
from app.certifications.evidence import renew_key
from app.core.clock import now
from app.core.ids import new_id
from tests.conftest import Api

PATH = "/.well-known/jwks.json"
BODY = {"source_id": "s", "accounts": ["ada@example.com"]}


async def sign(api: Api) -> str:
    answer = await api.post("/v1/certifications/evidence", json=BODY)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_keys_are_published_without_their_private_part(api: Api) -> None:
    answer = await api.anonymous().get(PATH)
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert key["kid"] == ECKey.import_key(key).thumbprint()
    assert answer.headers["cache-control"] == "public, max-age=300"
    unchanged = await api.anonymous().get(PATH, headers={"If-None-Match": answer.headers["etag"]})
    assert unchanged.status_code == 304


async def test_what_a_retired_key_signed_is_still_verified(api: Api) -> None:
    old = await sign(api)
    kid = await renew_key(api.runtime)
    new = await sign(api)
    published = (await api.get(PATH)).json()
    assert len(published["keys"]) == 2
    assert published["keys"][0]["kid"] == kid
    keys = KeySet.import_key_set(published)
    kids = [jws.deserialize_compact(text, keys, algorithms=["ES256"]).headers()["kid"] for text in (old, new)]
    assert kids[1] == kid != kids[0]


async def test_a_document_of_another_key_is_found_out(api: Api) -> None:
    forged = jws.serialize_compact({"alg": "ES256"}, b"{}", ECKey.generate_key("P-256"), algorithms=["ES256"])
    keys = KeySet.import_key_set({"keys": (await api.get(PATH)).json()["keys"][:1]})
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(forged, keys, algorithms=["ES256"])


async def test_processes_that_need_a_key_at_once_have_the_same(api: Api) -> None:
    database, vault = api.runtime.database, api.runtime.vault
    first = [SigningKeys(database, vault, "of a test", lambda: token_bytes(32)) for _ in range(4)]
    assert len({*await asyncio.gather(*(keys.newest() for keys in first))}) == 1
    await database.pool.execute("DELETE FROM signing_keys WHERE purpose = 'of a test'")


async def test_no_key_signs_for_two_purposes(api: Api) -> None:
    database, vault = api.runtime.database, api.runtime.vault
    await sign(api)
    await Tokens(database, vault).mint(new_id())
    await RunLinks(database, vault).url("http://seatwise.test", new_id(), "csv", now())
    rows = await database.pool.fetch("SELECT purpose, version, sealed FROM signing_keys WHERE purpose <> 'proof'")
    opened = {
        vault.open(row["sealed"], context=f"signing_keys/{row['purpose']}/{row['version']}"): row["purpose"]
        for row in rows
    }
    assert len(opened) == len(rows)
    assert set(opened.values()) == {"evidence", "access_token", "link"}


async def test_the_key_is_sealed_in_the_database(api: Api) -> None:
    await sign(api)
    rows = await api.runtime.database.pool.fetch("SELECT sealed FROM signing_keys WHERE purpose = 'evidence'")
    assert rows
    assert not any("P-256" in row["sealed"] for row in rows)
