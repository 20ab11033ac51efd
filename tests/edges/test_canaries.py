"""No secret is seen where it has no business: every secret there is is planted, repeated by all who hear it, and then
looked for in what the service said, logged and stored.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from app.vault import generate_key
from tests.edges.canaries import Canaries, Echo, Mails, listening
from tests.edges.outbound import private_key
from tests.survival.processes import Replica, environment
from tests.webhooks.receiver import eventually

ROOT = Path(__file__).parents[2]
OAUTH = "oauth2_client_credentials"
BASIC = {"auth_method": "client_secret_basic"}
# Which credentials are also given new secrets: trying them takes some seconds.
ROTATED = {0, 5}
# The paths whose lists hold whatever anybody did.
READ = [
    "/metrics", "/openapi.json", "/v1/credentials", "/v1/instances", "/v1/syncs", "/v1/api-keys", "/v1/audit-events",
    "/v1/audit-events?format=ndjson", "/v1/events", "/v1/webhooks", "/v1/notifications", "/v1/accounts", "/v1/people",
    "/v1/connectors", "/v1/reports", "/v1/overview", "/v1/isc/tenants", "/v1/notification-recipients",
]  # fmt: skip


@dataclass
class Caller:
    """Calls as an admin and keeps all that is answered, but what is shown only once."""

    client: httpx.AsyncClient
    key: str
    answered: list[str] = field(default_factory=list)

    async def call(self, method: str, path: str, *, once: bool = False, **kwargs: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", **kwargs.pop("headers", {})}
        answer = await self.client.request(method, path, headers=headers, **kwargs)
        if not once:
            self.answered.append(f"{answer.status_code} {answer.headers.raw!r} {answer.text}")
        assert answer.status_code != 500, answer.text
        return answer.json() if "json" in answer.headers.get("content-type", "") and "ndjson" not in path else None

    async def everything(self) -> None:
        """Read all there is to read, and each thing by itself."""
        for path in READ:
            found = await self.call("GET", path)
            items = found.get("items", []) if isinstance(found, dict) else []
            for each in [item for item in items if isinstance(item, dict) and "id" in item]:
                if path.count("/") == 2 and path not in {"/v1/events", "/v1/audit-events"}:
                    await self.call("GET", f"{path}/{each['id']}")
                if path == "/v1/webhooks":
                    await self.call("GET", f"{path}/{each['id']}/deliveries")
                if path == "/v1/syncs":
                    await self.call("GET", f"{path}/{each['id']}/errors")
                    await self.call("GET", f"{path}/{each['id']}/changes")


def credentials(canaries: Canaries, url: str, folder: Path) -> list[dict[str, Any]]:
    """One of each kind, at hosts that refuse, break down or take them."""
    pem = private_key()
    canaries.know("private key", pem.splitlines()[3])
    okta = {"sso_url": "https://acme.okta.com"}
    in_places = {"client_id": {"env": "CANARY_ID"}, "client_secret": {"file": str(folder / "secrets" / "canary")}}
    ping = {"region": "eu"}

    def both(base: str, token: str = "") -> dict[str, str]:
        return {"api_url": f"{url}{base}", "auth_url": f"{url}{token or base}"}

    def secret(what: str) -> dict[str, str]:
        return {"client_id": str(uuid4()), "client_secret": canaries.new(what)}

    def made(connector: str, scheme: str, own: dict[str, Any], options: dict[str, str]) -> dict[str, Any]:
        # Each has a tenant of its own: one that did not answer is asked again after some seconds only.
        tenant = {"environment_id": str(uuid4())} if connector == "pingone" else {}
        return {"connector": connector, "scheme": scheme, "secrets": own, "options": options | tenant}

    return [
        made("okta", "api_token", {"api_token": canaries.new("okta 401")}, okta | both("/401")),
        made("okta", "api_token", {"api_token": canaries.new("okta 403")}, okta | both("/403")),
        made("okta", "api_token", {"api_token": canaries.new("okta 500")}, okta | both("/500")),
        made("okta", "api_token", {"api_token": canaries.new("okta 200")}, okta | both("/200")),
        made("okta", "oauth2_private_key_jwt", {"client_id": "0oa1", "private_key": pem}, okta | both("/401/minting")),
        made("pingone", OAUTH, secret("pingone post"), ping | both("/401", "/refusing/401")),
        made("pingone", OAUTH, secret("pingone basic"), ping | BASIC | both("/401", "/refusing/401")),
        made("pingone", OAUTH, secret("pingone minted"), ping | both("/401/minting")),
        made("pingone", OAUTH, secret("pingone 500"), ping | both("/500", "/refusing/500")),
        made("ironclad-clickwrap", OAUTH, secret("ironclad"), both("/401", "/refusing/401")),
        made("ironclad-clickwrap", OAUTH, secret("ironclad minted"), both("/500/minting")),
        made("sailpoint-isc", OAUTH, secret("sailpoint"), both("/403", "/minting")),
        made("okta", "api_token", {"api_token": {"env": "CANARY_TOKEN"}}, okta | both("/401")) | {"storage": "local"},
        made("pingone", OAUTH, in_places, ping | both("/401", "/refusing/401")) | {"storage": "local"},
    ]


async def try_credential(caller: Caller, canaries: Canaries, place: int, body: dict[str, Any]) -> None:
    made = await caller.call("POST", "/v1/credentials", json={"name": f"number {place}", **body})
    assert "id" in made, made
    await caller.call("POST", f"/v1/credentials/{made['id']}/check")
    if place in ROTATED:
        fresh = {name: canaries.new(f"rotated {place} {name}") for name in body["secrets"] if name != "client_id"}
        rotated = {"secrets": {**body["secrets"], **fresh}}
        await caller.call("POST", f"/v1/credentials/{made['id']}/rotate", json=rotated)
    if body["connector"] == "sailpoint-isc":
        await caller.call("GET", f"/v1/isc/tenants/{made['id']}/sources")
        return
    instance = {"name": f"instance {place}", "connector": body["connector"], "credential_id": made["id"]}
    drafted = await caller.call("POST", "/v1/instances", json={**instance, "contacts": ["ops@example.com"]})
    await caller.call("POST", f"/v1/instances/{drafted['id']}/launch")


async def mistype(caller: Caller, canaries: Canaries) -> None:
    """Secrets in every place where they do not belong."""
    secret = canaries.new("mistyped", plain=True)
    header = {"Content-Type": "application/json"}
    good = {"name": "x", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": secret}}
    for body in (
        {**good, "scheme": secret[:90]},
        {**good, "connector": secret},
        {**good, "secrets": {"api_tokem": secret}},
        {**good, "secrets": {"api_token": secret * 1000}},
        {**good, "secrets": {"api_token": {"env": secret}}, "storage": "local"},
        {**good, "secrets": secret},
        {**good, "options": {"sso_url": f"https://me:{secret}@acme.okta.com"}},
        {**good, "options": {"api_url": f"https://acme.okta.com/?key={secret}"}},
        {**good, "name": "", "expires_at": secret},
    ):
        await caller.call("POST", "/v1/credentials", json=body)
    for url in (f"https://me:{secret}@example.com/", f"ftp://example.com/{secret}", f"https://10.0.0.1/?{secret}"):
        await caller.call("POST", "/v1/webhooks", json={"name": "x", "url": url, "auth": {"type": "none"}})
    auth = {"type": "bearer", "client_secret": secret, "token_url": secret}
    await caller.call("POST", "/v1/webhooks", json={"name": "x", "url": "https://example.com/", "auth": auth})
    await caller.call("POST", "/v1/webhooks", json={"name": "x", "url": "https://example.com/", "auth": secret})
    await caller.call("POST", "/v1/credentials", content=f'{{"secrets": {{"api_token": "{secret}"', headers=header)
    await caller.call("GET", f"/v1/people?api_key={quote(secret, safe='')}&q={quote(secret, safe='')}")
    await caller.call("GET", f"/v1/people?cursor={quote(secret, safe='')}")
    for unknown in (f"Bearer {canaries.new('unknown key', plain=True, prefix='sw_')}", f"Basic {secret}", secret):
        await caller.call("GET", "/v1/people", headers={"Authorization": unknown})
    form = {"grant_type": "client_credentials", "client_id": secret, "client_secret": secret}
    await caller.call("POST", "/oauth/token", data=form)
    await caller.call("POST", "/oauth/token", data={**form, "grant_type": secret})


async def use_keys(caller: Caller, canaries: Canaries, issuer: str, key: ECKey) -> None:
    """Keys and tokens of this API, each shown once and then used."""
    same = {"Idempotency-Key": "the-same-key-twice"}
    for _ in range(2):
        made = await caller.call("POST", "/v1/api-keys", once=True, json={"name": "a", "role": "viewer"}, headers=same)
    canaries.know("API key", made["key"])
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["key"]}
    token = canaries.know(
        "access token", (await caller.call("POST", "/oauth/token", once=True, data=form))["access_token"]
    )
    now = int(time.time())
    claims = {"iss": issuer, "aud": "seatwise", "sub": "u-1", "exp": now + 600, "seatwise_role": "admin"}
    told = [
        jwt.encode({"alg": "ES256", "kid": "k"}, claims | more, key) for more in ({}, {"exp": now - 900}, {"aud": "x"})
    ]
    for place, each in enumerate(told):
        canaries.know(f"OIDC token {place}", each)
    for each in (made["key"], token, *told, f"{told[0]}x"):
        await caller.call("GET", "/v1/people", headers={"Authorization": f"Bearer {each}"})
        await caller.call("POST", "/v1/fields", json={"key": "a"}, headers={"Authorization": f"Bearer {each}"})


async def post_messages(caller: Caller, canaries: Canaries, url: str) -> None:
    """Webhooks of every kind, at receivers that repeat what they got."""
    events = ["sync.failed", "instance.inactivated", "instance.launched", "report.completed"]
    for status in ("200", "401", "500"):
        bearer = {"type": "bearer", "secret": canaries.new(f"bearer {status}", plain=True)}
        oauth = {"type": OAUTH, "token_url": f"{url}/token", "client_id": "c"}
        granted = {**oauth, "client_secret": canaries.new(f"webhook client {status}")}
        refused = {**oauth, "token_url": f"{url}/refusing/{status}/token"}
        for place, auth in enumerate(
            (bearer, granted, {**refused, "client_secret": canaries.new(f"refused client {status}")}, {"type": "none"})
        ):
            format_ = "sailpoint_workflow" if place % 2 else "standard"
            body = {"name": f"{status} {place}", "url": f"{url}/{status}/hook", "events": events, "format": format_}
            made = await caller.call("POST", "/v1/webhooks", once=True, json={**body, "auth": auth})
            canaries.know(f"signing {status} {place}", made["signing_secret"].removeprefix("whsec_"))
            await caller.call("POST", f"/v1/webhooks/{made['id']}/test")
            rotated = await caller.call("POST", f"/v1/webhooks/{made['id']}/rotate", once=True)
            canaries.know(f"signing again {status} {place}", rotated["signing_secret"].removeprefix("whsec_"))
            await caller.call("PATCH", f"/v1/webhooks/{made['id']}", json={"auth": {"type": "bearer"}})


async def run_a_report(caller: Caller) -> None:
    body = {"name": "All", "dataset": "people", "columns": ["name"], "outputs": []}
    made = await caller.call("POST", "/v1/reports", json=body)
    await caller.call("POST", f"/v1/reports/{made['id']}/runs")


async def dumped(url: str) -> list[str]:
    """Every row of every table as text, by table."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch(
        "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'"
    )
    rows = [
        f"{table['name']}: {row['t']}"
        for table in tables
        for row in await connection.fetch(f"SELECT t::text FROM {table['name']} t")
    ]
    await connection.close()
    return rows


async def as_owner(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def with_login(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{name}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"))


async def drive(caller: Caller, canaries: Canaries, echo: Echo, folder: Path, key: ECKey) -> None:
    await caller.call("PUT", "/v1/notification-recipients", json={"emails": ["all@example.com"]})
    await post_messages(caller, canaries, echo.url)
    await use_keys(caller, canaries, f"{echo.url}/issuer", key)
    await mistype(caller, canaries)
    bodies = credentials(canaries, echo.url, folder)
    await asyncio.gather(*(try_credential(caller, canaries, place, body) for place, body in enumerate(bodies)))
    await run_a_report(caller)
    await eventually(lambda: settled(caller), within_s=25)
    await caller.everything()


async def settled(caller: Caller) -> bool:
    syncs = (await caller.call("GET", "/v1/syncs?limit=200"))["items"]
    return not any(sync["status"] in {"queued", "running"} for sync in syncs)


class Issuing(Echo):
    """Repeats as any echo does, and is an identity provider too."""

    def answer(self, head: str, body: str) -> bytes:
        path = head.split(" ")[1]
        if not path.startswith("/issuer"):
            return super().answer(head, body)
        found: dict[str, Any] = {"issuer": f"{self.url}/issuer", "jwks_uri": f"{self.url}/issuer/keys"}
        if path.endswith("keys"):
            found = {"keys": [self.public]}
        raw = json.dumps(found).encode()
        return f"HTTP/1.1 200 X\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw

    public: Any = None


async def test_no_secret_is_seen_where_it_has_no_business(database_url: str, tmp_path: Path) -> None:
    canaries, mails = Canaries(), Mails()
    echo, key = Issuing(canaries), ECKey.generate_key("P-256", {"kid": "k"})
    echo.public = key.as_dict(private=False)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "canary").write_text(canaries.new("secret in a file"))
    ring = [canaries.know(f"encryption key {place}", generate_key()) for place in (1, 2)]
    password, admin = canaries.new("database password"), canaries.new("admin key", plain=True, prefix="sw_")
    await as_owner(database_url, f"CREATE ROLE canary LOGIN SUPERUSER PASSWORD '{password}'")
    async with listening(echo) as port, listening(mails) as mail_port:
        echo.url = f"http://127.0.0.1:{port}"
        mail_login = quote(canaries.new("mail password"), safe="")
        settings = environment(
            with_login(database_url, "canary", password),
            tmp_path,
            ring[0],
            SEATWISE_ADMIN_KEY=admin,
            SEATWISE_SECRETS_DIR=str(tmp_path / "secrets"),
            SEATWISE_SMTP_URL=f"smtp://me:{mail_login}@127.0.0.1:{mail_port}",
            SEATWISE_OIDC_ISSUER=f"{echo.url}/issuer",
            SEATWISE_OIDC_AUDIENCE="seatwise",
            SEATWISE_LOG_LEVEL="debug",
            SEATWISE_VENDOR_RETRY_S="0",
            SEATWISE_WEBHOOK_RETRIES="1s",
            CANARY_TOKEN=canaries.new("secret in the environment"),
            CANARY_ID="from-the-environment",
        )
        replica = Replica(settings, tmp_path)
        replica.start()
        try:
            await replica.ready()
            async with httpx.AsyncClient(base_url=replica.url, timeout=30) as client:
                caller = Caller(client, admin)
                await drive(caller, canaries, echo, tmp_path, key)
            anew = {**settings, "SEATWISE_ENCRYPTION_KEYS": f"{ring[1]},{ring[0]}"}
            commands = await asyncio.gather(
                asyncio.to_thread(command, settings, "doctor"), asyncio.to_thread(command, anew, "vault", "rotate")
            )
            replica.stop()
        finally:
            replica.kill()
    log = (tmp_path / f"{replica.port}.log").read_text()
    stored = await dumped(database_url)
    await as_owner(database_url, "REASSIGN OWNED BY canary TO CURRENT_USER", "DROP ROLE canary")

    assert_told(canaries, echo, mails)
    places = {"log": log.splitlines(), "answer": caller.answered, "database": stored, "command": commands}
    for place, lines in places.items():
        if canaries.seen_in("\n".join(lines)):
            assert [(what, line[:500]) for line in lines for what in canaries.seen_in(line)] == [], place
    assert '"level": "debug"' in log
    assert len(stored) > 100


def command(settings: dict[str, str], *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "app.cli", *words], env=settings, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return f"{ran.stdout} {ran.stderr}"


def assert_told(canaries: Canaries, echo: Echo, mails: Mails) -> None:
    """The secrets were really sent to those who repeat them, or the search would prove nothing."""
    heard = canaries.seen_in("\n".join([*echo.told, *mails.told]))
    named = {re.sub(r" \(.*", "", each) for each in heard}
    for what in (
        "okta 401",
        "okta 500",
        "pingone post",
        "pingone basic",
        "ironclad",
        "bearer 401",
        "webhook client 200",
    ):
        assert what in named, what
    assert {"minted token 1", "mail password", "secret in the environment", "secret in a file"} <= named
