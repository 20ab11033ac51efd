"""New secrets take the place of the old only when they prove as much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app.connectors.contract import Check
from app.core.errors import VendorUnavailable
from app.main import create_app
from app.sync.secrets import open_secrets
from tests.api.problems import assert_problem
from tests.api.test_credentials import PATH, made
from tests.conftest import Api

GOOD = Check(ok=True, tenant="acme", subject="worker", granted=("Users", "Groups"))
DEAD = Check(ok=False, tenant=None, subject=None, code="credential_refused", detail="The client is unknown.")
Vendor = Callable[..., list[str]]


@pytest.fixture
def vendor(api: Api, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Lets the vendor know some client secrets, each by what it may; gives those it was shown, in order."""

    def knowing(**known: Check | Exception) -> list[str]:
        shown: list[str] = []

        @asynccontextmanager
        async def connect(
            runtime: Any, credential: Any, _options: Any, *, apart: bool = False
        ) -> AsyncIterator[SimpleNamespace]:
            secret = open_secrets(runtime.vault, credential, runtime.settings.secrets_dir)["client_secret"]

            async def check() -> Check:
                shown.append(secret)
                outcome = known.get(secret, DEAD)
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

            yield SimpleNamespace(connector=SimpleNamespace(check=check))

        monkeypatch.setattr("app.credentials.connect", connect)
        return shown

    return knowing


async def credential_with(api: Api, secret: str, *, proved: bool = True) -> str:
    body = await made(api, secrets={"client_id": "client-0001", "client_secret": secret})
    if proved:
        assert (await api.post(f"{PATH}/{body['id']}/check")).json()["ok"]
    return str(body["id"])


async def rotate(api: Api, credential_id: str, secret: str, **more: Any) -> Any:
    body = {"secrets": {"client_id": "client-0002", "client_secret": secret}, **more}
    return await api.post(f"{PATH}/{credential_id}/rotate", json=body)


async def in_use(api: Api, credential_id: str, vendor: Vendor) -> str:
    shown = vendor()
    await api.post(f"{PATH}/{credential_id}/check")
    return shown[0]


async def test_new_secrets_replace_the_old_and_their_tokens(api: Api, vendor: Vendor) -> None:
    vendor(old=GOOD)
    credential_id = await credential_with(api, "old")
    await api.runtime.database.pool.execute(
        "INSERT INTO vendor_tokens VALUES ($1, 'a', 'v1', now(), now() + interval '1 h')", credential_id
    )
    shown = vendor(new=Check(ok=True, tenant="acme", subject="other", granted=("Groups", "Users", "More")))
    answer = await rotate(api, credential_id, "new", expires_at="2031-01-01T00:00:00Z")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["client_id_last4"], answer.json()["expires_at"]) == ("0002", "2031-01-01T00:00:00Z")
    assert answer.json() == (await api.get(f"{PATH}/{credential_id}")).json()
    assert shown == ["new"], "the old secret may be dead already and is not asked for"
    assert await in_use(api, credential_id, vendor) == "new"
    tokens = "SELECT count(*) FROM vendor_tokens WHERE credential_id = $1"
    assert await api.runtime.database.pool.fetchval(tokens, credential_id) == 0
    (event,) = (await api.get("/v1/audit-events?action=credential.rotated")).json()["items"]
    assert event["after"]["secrets"] == {"client_id": "***", "client_secret": "***"}
    again = await rotate(api, credential_id, "old")
    assert "do not work" in assert_problem(again, 422)["detail"]


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (DEAD, "The client is unknown."),
        (VendorUnavailable("Nobody answers."), "Nobody answers."),
        (Check(ok=True, tenant="other", subject="worker", granted=("Users", "Groups")), "other"),
        (Check(ok=True, tenant=None, subject="worker", granted=("Users", "Groups")), "no known tenant"),
        (Check(ok=True, tenant="acme", subject="worker", granted=("Groups",)), "without Users"),
        (Check(ok=False, tenant="acme", subject="w", missing=("Users",), detail="Grant the role Users."), "Grant"),
    ],
)
async def test_a_refusal_says_why_and_the_old_stay(api: Api, vendor: Vendor, new: Any, says: str) -> None:
    vendor(old=GOOD)
    credential_id = await credential_with(api, "old")
    before = (await api.get(f"{PATH}/{credential_id}")).json()
    vendor(new=new)
    refused = assert_problem(await rotate(api, credential_id, "new"), 422)
    assert says in refused["detail"]
    assert {error["pointer"] for error in refused["errors"]} == {"#/secrets"}
    assert (await api.get(f"{PATH}/{credential_id}")).json() == before
    assert await in_use(api, credential_id, vendor) == "old"


async def test_what_was_never_proved_is_tried_beside_the_new(api: Api, vendor: Vendor) -> None:
    credential_id = await credential_with(api, "old", proved=False)
    less = Check(ok=True, tenant="acme", subject="worker", granted=("Groups",))
    shown = vendor(old=GOOD, new=less)
    assert_problem(await rotate(api, credential_id, "new"), 422)
    assert shown == ["new", "old"]
    vendor(new=less)
    assert (await rotate(api, credential_id, "new")).status_code == 200


async def test_a_change_meanwhile_is_not_overwritten(api: Api, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    credential_id = await credential_with(api, "old", proved=False)

    @asynccontextmanager
    async def connect(*_args: Any, **_more: Any) -> AsyncIterator[SimpleNamespace]:
        async def check() -> Check:
            await api.patch(f"{PATH}/{credential_id}", json={"name": "Renamed"})
            return GOOD

        yield SimpleNamespace(connector=SimpleNamespace(check=check))

    monkeypatch.setattr("app.credentials.connect", connect)
    assert_problem(await rotate(api, credential_id, "new"), 409)
    assert await in_use(api, credential_id, vendor) == "old"


async def test_who_may_and_what_is_no_rotation(api: Api, vendor: Vendor) -> None:
    vendor(old=GOOD)
    credential_id = await credential_with(api, "old")
    assert_problem(await rotate(await api.as_role("operator"), credential_id, "new"), 403)
    assert_problem(await rotate(api, "0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77", "new"), 404)
    assert_problem(await api.post(f"{PATH}/{credential_id}/rotate", json={}), 422)
    incomplete = await api.post(f"{PATH}/{credential_id}/rotate", json={"secrets": {"client_id": "x"}})
    assert assert_problem(incomplete, 422)["errors"][0]["pointer"] == "#/secrets/client_secret"


async def test_a_rotation_under_way_is_not_begun_again_by_another_replica(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    calls: list[str] = []

    @asynccontextmanager
    async def connect(*_args: Any, **_more: Any) -> AsyncIterator[SimpleNamespace]:
        async def check() -> Check:
            calls.append("check")
            asked.set()
            await go_on.wait()
            return GOOD

        yield SimpleNamespace(connector=SimpleNamespace(check=check))

    monkeypatch.setattr("app.credentials.connect", connect)
    body = await made(api, secrets={"client_id": "client-0001", "client_secret": "old"})
    path, headers = f"{PATH}/{body['id']}/check", {"Idempotency-Key": "slow"}
    app = create_app(api.runtime)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test") as client:
        replica = replace(api, client=client, app=app)
        first = asyncio.create_task(api.post(path, headers=headers))
        await asked.wait()
        for other in (api, replica):
            assert_problem(await other.post(path, headers=headers), 409)
        go_on.set()
        answered = await first
        again = await replica.post(path, headers=headers)
    await app.state.turns.close()
    assert (again.content, again.headers["idempotent-replayed"]) == (answered.content, "true")
    assert calls == ["check"]


async def test_a_key_belongs_to_its_path(api: Api, vendor: Vendor) -> None:
    vendor(old=GOOD)
    one, other = [await credential_with(api, "old", proved=False) for _ in range(2)]
    answers = [await api.post(f"{PATH}/{each}/check", headers={"Idempotency-Key": "two"}) for each in (one, other)]
    assert ["idempotent-replayed" in answer.headers for answer in answers] == [False, False]
