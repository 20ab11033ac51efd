"""Endpoints are kept, changed and rotated; what is secret of them never comes out."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.clock import now
from app.core.ids import new_id
from app.models import Report, Webhook
from app.vault import Vault, generate_key
from app.webhooks.endpoints import open_secrets, signing_secrets
from tests.api.problems import assert_problem
from tests.conftest import Api

PATH = "/v1/webhooks"
URL = "https://hooks.example.com/in"
CLIENT = {
    "type": "oauth2_client_credentials",
    "token_url": "https://login.example.com/oauth/token",
    "client_id": "the-client",
    "client_secret": "the-client-secret",
}
MEMBERS = {
    "id", "created_at", "updated_at", "name", "url", "events", "format", "auth", "secrets_set", "token_expires_at",
    "status", "disabled_reason", "max_message_bytes", "delivery", "link_ttl_seconds", "max_concurrency", "created_by",
}  # fmt: skip


async def make(api: Api, **members: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"name": "Ops", "url": URL, **members})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def row(api: Api, webhook_id: str) -> Webhook:
    async with api.runtime.database.session() as session:
        return await session.get_one(Webhook, UUID(webhook_id))


async def secrets(api: Api, webhook_id: str) -> dict[str, str]:
    webhook = await row(api, webhook_id)
    return open_secrets(api.runtime.vault, webhook.id, webhook.sealed)


async def signing(api: Api, webhook_id: str, after: timedelta = timedelta()) -> list[str]:
    webhook = await row(api, webhook_id)
    return signing_secrets(api.runtime.vault, webhook.id, webhook.sealed_signing, now() + after)


async def deliver(api: Api, webhook_id: str, status: str = "pending") -> UUID:
    """A delivery to an endpoint, as if a report had been sent there."""
    delivery_id = new_id()
    await api.runtime.database.pool.execute(
        "INSERT INTO deliveries (id, webhook_id, message_id, event, status) VALUES ($1, $2, $3, 'sync.failed', $4)",
        delivery_id,
        UUID(webhook_id),
        new_id(),
        status,
    )
    return delivery_id


def jwt(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


async def test_an_endpoint_is_kept_with_what_was_not_said(api: Api) -> None:
    made = await api.post(PATH, json={"name": "Ops", "url": URL})
    body = made.json()
    assert made.headers["Location"] == f"{PATH}/{body['id']}"
    secret = body.pop("signing_secret")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert body.keys() == MEMBERS
    assert (body["events"], body["format"], body["secrets_set"]) == ([], "standard", [])
    assert body["auth"] == {"type": "none", "token_url": None, "client_id": None, "scope": None}
    assert (body["max_message_bytes"], body["link_ttl_seconds"], body["max_concurrency"]) == (262144, 86400, 4)
    assert (body["status"], body["disabled_reason"], body["delivery"]) == ("enabled", None, "pages")
    read = await (await api.as_role("viewer")).get(f"{PATH}/{body['id']}")
    assert (read.json(), read.headers["ETag"]) == (body, made.headers["ETag"])
    assert await signing(api, body["id"]) == [secret]


async def test_secrets_go_in_and_never_come_out(api: Api) -> None:
    bearer = await make(api, auth={"type": "bearer", "secret": "the-bearer-token"})
    client = await make(api, auth=CLIENT)
    assert (bearer["secrets_set"], client["secrets_set"]) == (["secret"], ["client_secret"])
    assert client["auth"]["token_url"] == CLIENT["token_url"]
    assert await secrets(api, bearer["id"]) == {"secret": "the-bearer-token"}
    assert await secrets(api, client["id"]) == {"client_secret": "the-client-secret"}
    stored = await api.runtime.database.pool.fetch("SELECT w::text AS all FROM webhooks w")
    shown = (await api.get(PATH)).text + (await api.get("/v1/audit-events?limit=200")).text
    for text in [shown, *(each["all"] for each in stored)]:
        assert "the-bearer-token" not in text
        assert "the-client-secret" not in text
        assert "whsec_" not in text


async def test_a_bearer_token_that_is_a_jwt_shows_its_end(api: Api) -> None:
    ends = await make(api, auth={"type": "bearer", "secret": jwt(exp=1893456000)})
    assert ends["token_expires_at"] == "2030-01-01T00:00:00Z"
    chained = jwt(exp=1893456000).partition(".")[2]
    chain = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "x5c": ["M" * 2000]}).encode()).decode().rstrip("=")
    ends = await make(api, auth={"type": "bearer", "secret": f"{chain}.{chained}"})
    assert ends["token_expires_at"] == "2030-01-01T00:00:00Z"
    deep = f"{jwt().partition('.')[0]}.{base64.urlsafe_b64encode(b'[' * 9000).decode()}.c2ln"
    for secret in ("a.b.c", "opaque", jwt(sub="x"), jwt(exp="soon"), jwt(exp=1e300), "..", "a.W10.c", deep):
        assert (await make(api, auth={"type": "bearer", "secret": secret}))["token_expires_at"] is None
    patched = await api.patch(f"{PATH}/{ends['id']}", json={"auth": {"secret": "opaque"}})
    assert patched.json()["token_expires_at"] is None


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"url": "ftp://example.com/"}, "#/url"),
        ({"url": "https://user:pass@example.com/"}, "#/url"),
        ({"url": "https://10.0.0.1/in"}, "#/url"),
        ({"url": "http://8.8.8.8/in"}, "#/url"),
        ({"url": "nonsense"}, "#/url"),
        ({"events": ["sync.exploded"]}, "#/events/0"),
        ({"events": ["*"]}, "#/events/0"),
        ({"events": ["sync.failed", "sync.failed"]}, "#/events/1"),
        ({"format": "xml"}, "#/format"),
        ({"auth": {"type": "basic"}}, "#/auth/type"),
        ({"auth": {}}, "#/auth/type"),
        ({"auth": {"type": "bearer"}}, "#/auth/secret"),
        ({"auth": {"type": "bearer", "secret": "Bearer xyz"}}, "#/auth/secret"),
        ({"auth": {"type": "bearer", "secret": "x", "client_id": "y"}}, "#/auth/client_id"),
        ({"auth": {**CLIENT, "token_url": "https://192.168.0.1/"}}, "#/auth/token_url"),
        ({"auth": {**CLIENT, "client_secret": None}}, "#/auth/client_secret"),
        ({"auth": {**CLIENT, "client_auth": "basic"}}, "#/auth/client_auth"),
        ({"max_message_bytes": 1023}, "#/max_message_bytes"),
        ({"max_message_bytes": 2**30}, "#/max_message_bytes"),
        ({"delivery": "mail"}, "#/delivery"),
        ({"link_ttl_seconds": 0}, "#/link_ttl_seconds"),
        ({"max_concurrency": 65}, "#/max_concurrency"),
        ({"signing_secret": "whsec_x"}, "#/signing_secret"),
        ({"name": ""}, "#/name"),
    ],
)
async def test_what_cannot_be_kept_is_said(api: Api, members: dict[str, Any], pointer: str) -> None:
    body = assert_problem(await api.post(PATH, json={"name": "Ops", "url": URL, **members}), 422)
    assert pointer in [error["pointer"] for error in body["errors"]]
    assert "xyz" not in json.dumps(body)


async def test_each_member_changes_by_itself(api: Api) -> None:
    made = await make(api, auth=CLIENT, events=["sync.failed"])
    path = f"{PATH}/{made['id']}"
    patch = {"name": "New", "events": [], "delivery": "link", "auth": {"scope": "idn:x"}, "max_message_bytes": 2048}
    changed = (await api.patch(path, json=patch)).json()
    assert (changed["name"], changed["events"], changed["delivery"]) == ("New", [], "link")
    assert changed["auth"] == {"type": CLIENT["type"], "token_url": CLIENT["token_url"], "client_id": "the-client",
                               "scope": "idn:x"}  # fmt: skip
    assert await secrets(api, made["id"]) == {"client_secret": "the-client-secret"}
    assert_problem(await api.patch(path, json={"auth": {"type": "bearer"}}), 422)
    bearer = (await api.patch(path, json={"auth": {"type": "bearer", "secret": "fresh"}})).json()
    assert (bearer["auth"]["client_id"], bearer["secrets_set"]) == (None, ["secret"])
    assert await secrets(api, made["id"]) == {"secret": "fresh"}
    same = {name: value for name, value in bearer.items() if name in patch.keys() | {"format", "status", "url"}}
    assert (await api.patch(path, json=same)).status_code == 200
    assert await secrets(api, made["id"]) == {"secret": "fresh"}
    for bad in (
        {"auth": None},
        {"url": None},
        {"status": "gone"},
        {"url": "https://10.0.0.1/"},
        {"disabled_reason": None},
    ):
        assert_problem(await api.patch(path, json=bad), 422)
    stale = {"If-Match": '"old"'}
    assert_problem(await api.patch(path, json={"name": "x"}, headers=stale), 412)
    assert_problem(await api.delete(path, headers=stale), 412)


async def test_a_token_of_the_old_client_is_dropped_with_it(api: Api) -> None:
    made = await make(api, auth=CLIENT)
    pool = api.runtime.database.pool

    async def tokens_after(patch: dict[str, Any]) -> int:
        await pool.execute(
            "INSERT INTO webhook_tokens (webhook_id, audience, sealed, issued_at) VALUES ($1, '', 'x', now())"
            " ON CONFLICT DO NOTHING",
            UUID(made["id"]),
        )
        assert (await api.patch(f"{PATH}/{made['id']}", json=patch)).status_code == 200
        return int(await pool.fetchval("SELECT count(*) FROM webhook_tokens WHERE webhook_id = $1", UUID(made["id"])))

    assert await tokens_after({"name": "other", "url": URL}) == 1
    assert await tokens_after({"auth": {"client_secret": "new"}}) == 0
    assert await tokens_after({"url": f"{URL}/there"}) == 0


async def test_what_waits_for_a_disabled_endpoint_fails_and_enabling_begins_anew(api: Api) -> None:
    made = await make(api)
    path = f"{PATH}/{made['id']}"
    waiting = await deliver(api, made["id"])
    await api.runtime.database.pool.execute("UPDATE webhooks SET failing_since = now() WHERE id = $1", UUID(made["id"]))
    off = (await api.patch(path, json={"status": "disabled"})).json()
    assert (off["status"], off["disabled_reason"]) == ("disabled", "user")
    left = (await api.get(f"/v1/deliveries/{waiting}")).json()
    assert (left["status"], left["next_attempt_at"]) == ("failed", None)
    on = (await api.patch(path, json={"status": "enabled"})).json()
    assert (on["status"], on["disabled_reason"]) == ("enabled", None)
    assert (await row(api, made["id"])).failing_since is None


async def test_both_secrets_sign_until_the_overlap_ends(api: Api) -> None:
    made = await make(api)
    path, first = f"{PATH}/{made['id']}", made["signing_secret"]
    rotated = await api.post(f"{path}/rotate", json={"overlap_seconds": 3600})
    assert rotated.status_code == 200, rotated.text
    assert rotated.json().keys() == MEMBERS | {"signing_secret"}
    assert rotated.headers["ETag"] == (await api.get(path)).headers["ETag"]
    second = rotated.json()["signing_secret"]
    assert await signing(api, made["id"]) == [second, first]
    assert await signing(api, made["id"], timedelta(hours=1, seconds=1)) == [second]
    third = (await api.post(f"{path}/rotate")).json()["signing_secret"]
    assert await signing(api, made["id"]) == [third, second, first]
    assert await signing(api, made["id"], timedelta(hours=2)) == [third, second]
    fourth = (await api.post(f"{path}/rotate", json={"overlap_seconds": 0})).json()["signing_secret"]
    assert await signing(api, made["id"]) == [fourth]
    for bad in ({"overlap_seconds": -1}, {"overlap_seconds": 2592001}, {"overlap": 1}):
        assert_problem(await api.post(f"{path}/rotate", json=bad), 422)
    assert_problem(await api.post(f"{PATH}/{new_id()}/rotate", json={}), 404)
    (event, *_) = (await api.get("/v1/audit-events?action=webhook.rotated")).json()["items"]
    assert event["after"]["signing_secret"] == "***"


async def test_what_was_sealed_with_a_lost_key_is_given_again(api: Api) -> None:
    made = await make(api, auth={"type": "bearer", "secret": "old"})
    path = f"{PATH}/{made['id']}"
    lost = Vault.from_keys(generate_key()).seal(b"{}", context="x")
    await api.runtime.database.pool.execute(
        "UPDATE webhooks SET sealed = $2, sealed_signing = $2 WHERE id = $1", UUID(made["id"]), lost
    )
    assert (await api.get(path)).status_code == 200
    body = assert_problem(await api.patch(path, json={"auth": {"type": "bearer"}}), 422)
    assert body["errors"][0]["pointer"] == "#/auth/secret"
    assert (await api.patch(path, json={"auth": {"secret": "new"}})).status_code == 200
    assert await secrets(api, made["id"]) == {"secret": "new"}
    assert "overlap_seconds 0" in assert_problem(await api.post(f"{path}/rotate", json={}), 409)["detail"]
    assert (await api.post(f"{path}/rotate", json={"overlap_seconds": 0})).status_code == 200
    assert len(await signing(api, made["id"])) == 1


async def test_an_endpoint_goes_with_its_deliveries(api: Api) -> None:
    made = await make(api)
    delivery = await deliver(api, made["id"], "succeeded")
    assert (await api.delete(f"{PATH}/{made['id']}")).status_code == 204
    assert_problem(await api.get(f"{PATH}/{made['id']}"), 404)
    assert_problem(await api.get(f"/v1/deliveries/{delivery}"), 404)
    actions = [event["action"] for event in (await api.get("/v1/audit-events?limit=2")).json()["items"]]
    assert actions == ["webhook.deleted", "webhook.created"]


async def test_an_output_of_a_report_stays(api: Api) -> None:
    made, other = await make(api), await make(api)
    report_id = new_id()
    async with api.runtime.database.session() as session:
        outputs = [{"type": "email", "to": ["x@example.com"]}, {"type": "webhook", "webhook_id": made["id"]}]
        session.add(Report(id=report_id, name="Unused", dataset="accounts", columns=["name"], window="30d", filters=[],
                           sort=[], outputs=outputs, created_by={}))  # fmt: skip
    body = assert_problem(await api.delete(f"{PATH}/{made['id']}"), 409)
    assert body["reports"] == [{"id": str(report_id), "name": "Unused"}]
    assert (await api.delete(f"{PATH}/{other['id']}")).status_code == 204


async def test_endpoints_are_found_by_name(api: Api) -> None:
    for name in ("Zeta_1 hook", "alpha hook", "Zeta 1 hook"):
        await make(api, name=name)
    by_name = (await api.get(PATH, params={"q": "HOOK", "sort": "name", "count": "true"})).json()
    assert ([w["name"] for w in by_name["items"]], by_name["total"]) == (
        ["alpha hook", "Zeta 1 hook", "Zeta_1 hook"],
        3,
    )
    assert [w["name"] for w in (await api.get(PATH, params={"q": "a_1"})).json()["items"]] == ["Zeta_1 hook"]
    first = (await api.get(PATH, params={"q": "hook", "limit": 1})).json()
    assert first["items"][0]["name"] == "Zeta 1 hook"
    again = (await api.get(PATH, params={"q": "hook", "limit": 1, "cursor": first["next_cursor"]})).json()
    assert again["items"][0]["name"] == "alpha hook"


async def test_only_an_admin_may_change_them(api: Api) -> None:
    made = await make(api)
    operator = await api.as_role("operator")
    assert_problem(await operator.post(PATH, json={"name": "x", "url": URL}), 403)
    assert_problem(await operator.patch(f"{PATH}/{made['id']}", json={"name": "x"}), 403)
    assert_problem(await operator.post(f"{PATH}/{made['id']}/rotate", json={}), 403)
    assert_problem(await operator.delete(f"{PATH}/{made['id']}"), 403)
    assert_problem(await api.anonymous().get(PATH), 401)
    for call in (api.get, api.delete):
        assert_problem(await call(f"{PATH}/{new_id()}"), 404)
