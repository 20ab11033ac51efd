"""No secret is seen where it has no business: every secret there is is planted, repeated by all who hear it, and then
looked for in what the service said, logged and stored.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from pgqueuer.queries import Queries

from app.demo.vendors.loopback import Loopback
from app.vault import generate_key
from tests.edges.calling import Caller
from tests.edges.canaries import Canaries, Echo, Mails, listening
from tests.edges.outbound import private_key
from tests.edges.places import Collector, dumped, leaks
from tests.survival.processes import Replica, environment
from tests.webhooks.receiver import eventually

ROOT = Path(__file__).parents[2]
OAUTH = "oauth2_client_credentials"
BASIC = {"auth_method": "client_secret_basic"}
# Which credentials are also given new secrets: trying them takes some seconds.
ROTATED = {0, 5}
# Tables of which no row can be written while the database is broken on purpose.
BROKEN = ("api_keys", "credentials", "webhooks", "idempotency_records", "vendor_tokens", "report_runs", "audit_events")


def credentials(canaries: Canaries, url: str, folder: Path) -> list[dict[str, Any]]:
    """One of each kind, at hosts that refuse, break down or take them."""
    pem = private_key()
    for line in pem.splitlines()[1:-1]:
        canaries.know("private key", line)
    okta = {"sso_url": "https://acme.okta.com"}
    in_places = {"client_id": {"env": "CANARY_ID"}, "client_secret": {"file": str(folder / "secrets" / "canary")}}
    ping = {"region": "eu"}

    def both(base: str, token: str = "") -> dict[str, str]:
        return {"api_url": f"{url}{base}", "auth_url": f"{url}{token or base}"}

    def both_secure(base: str) -> dict[str, str]:
        """Where nobody speaks TLS."""
        return {name: value.replace("http://", "https://") for name, value in both(base).items()}

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
        made("okta", "api_token", {"api_token": canaries.new("okta 302")}, okta | both("/302")),
        made("okta", "api_token", {"api_token": canaries.new("okta TLS")}, okta | both_secure("/200")),
        made("pingone", OAUTH, secret("pingone 302"), ping | both("/302", "/refusing/302")),
        made("pingone", OAUTH, secret("pingone TLS"), ping | both_secure("/200")),
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


async def use_keys(caller: Caller, canaries: Canaries, issuer: str, key: ECKey) -> None:
    """Keys and tokens of this API, each shown once and then used."""
    same = {"Idempotency-Key": "the-same-key-twice"}
    for _ in range(2):
        made = await caller.call("POST", "/v1/api-keys", json={"name": "a", "role": "viewer"}, headers=same)
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["key"]}
    token = (await caller.call("POST", "/oauth/token", data=form))["access_token"]
    now = int(time.time())
    claims = {"iss": issuer, "aud": "seatwise", "sub": "u-1", "exp": now + 600, "seatwise_role": "admin"}
    told = [
        jwt.encode({"alg": "ES256", "kid": "k"}, claims | more, key) for more in ({}, {"exp": now - 900}, {"aud": "x"})
    ]
    for each in told:
        canaries.know("OIDC token", each)
    for each in (made["key"], token, *told, f"{told[0]}x"):
        await caller.call("GET", "/v1/people", headers={"Authorization": f"Bearer {each}"})
        await caller.call("POST", "/v1/fields", json={"key": "a"}, headers={"Authorization": f"Bearer {each}"})


async def post_messages(caller: Caller, canaries: Canaries, url: str) -> None:
    """Webhooks of every kind, at receivers that repeat what they got."""
    events = ["sync.failed", "instance.inactivated", "instance.launched", "report.completed"]
    for status in ("200", "302", "401", "500"):
        bearer = {"type": "bearer", "secret": canaries.new(f"bearer {status}", plain=True)}
        oauth = {"type": OAUTH, "token_url": f"{url}/token", "client_id": "c"}
        granted = {**oauth, "client_secret": canaries.new(f"webhook client {status}")}
        refused = {**oauth, "token_url": f"{url}/refusing/{status}/token"}
        for place, auth in enumerate(
            (bearer, granted, {**refused, "client_secret": canaries.new(f"refused client {status}")}, {"type": "none"})
        ):
            format_ = "sailpoint_workflow" if place % 2 else "standard"
            told = events if place == 0 or status == "401" else []
            body = {"name": f"{status} {place}", "url": f"{url}/{status}/hook", "events": told, "format": format_}
            made = await caller.call("POST", "/v1/webhooks", json={**body, "auth": auth})
            await caller.call("POST", f"/v1/webhooks/{made['id']}/test")
            await caller.call("POST", f"/v1/webhooks/{made['id']}/rotate")
            await caller.call("PATCH", f"/v1/webhooks/{made['id']}", json={"auth": {"type": "bearer"}})


async def run_a_report(caller: Caller) -> None:
    body = {"name": "All", "dataset": "people", "columns": ["name"], "outputs": []}
    made = await caller.call("POST", "/v1/reports", json=body)
    await caller.call("POST", f"/v1/reports/{made['id']}/runs")


async def with_faults(caller: Caller, canaries: Canaries, database_url: str, echo: Echo) -> None:
    """All that carries secrets once more, on a database that refuses rows and repeats what was in them."""
    await as_owner(
        database_url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'refused on purpose: %', NEW; END $$",
        *(
            f"CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
            for table in BROKEN
        ),
    )
    okta = {"name": "refused", "connector": "okta", "scheme": "api_token", "options": {"sso_url": "https://a.okta.com"}}
    secret = {"type": "bearer", "secret": canaries.new("bearer refused", plain=True)}
    hook = {"name": "refused", "url": f"{echo.url}/200/hook", "events": [], "auth": secret}
    known = (await caller.call("GET", "/v1/credentials?limit=200"))["items"]
    for path, body in (
        ("/v1/credentials", {**okta, "secrets": {"api_token": canaries.new("okta refused")}}),
        ("/v1/webhooks", hook),
        ("/v1/api-keys", {"name": "refused", "role": "viewer"}),
        ("/v1/fields", {"kind": "person", "type": "text", "title": "Refused", "key": "refused"}),
        *((f"/v1/credentials/{each['id']}/check", {}) for each in known),
        *((f"/v1/reports/{each['id']}/runs", {}) for each in (await caller.call("GET", "/v1/reports"))["items"]),
    ):
        key = {"Idempotency-Key": canaries.new("Idempotency-Key of a fault", plain=True)}
        await caller.call("POST", path, json=body, headers=key, may_break=True)
    await as_owner(database_url, "DROP FUNCTION refuse() CASCADE")


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
    bodies = credentials(canaries, echo.url, folder)
    await asyncio.gather(*(try_credential(caller, canaries, place, body) for place, body in enumerate(bodies)))
    await run_a_report(caller)
    await eventually(lambda: settled(caller), within_s=120)


async def settled(caller: Caller) -> bool:
    """Whether no sync is under way."""
    await asyncio.sleep(0.2)
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


@dataclass(frozen=True)
class World:
    """Everybody who repeats what he hears, and what the service is told of them."""

    canaries: Canaries
    echo: Issuing
    mails: Mails
    collector: Collector
    folder: Path
    settings: dict[str, str]
    key: ECKey
    ring: tuple[str, str]


@asynccontextmanager
async def world(database_url: str, folder: Path) -> AsyncIterator[World]:
    """A place full of secrets for the time of the block, the login of its database among them."""
    canaries, mails, collector = Canaries(), Mails(), Collector()
    echo, key = Issuing(canaries), ECKey.generate_key("P-256", {"kid": "k"})
    echo.public = key.as_dict(private=False)
    (folder / "secrets").mkdir()
    (folder / "secrets" / "canary").write_text(canaries.new("secret in a file"))
    ring = (canaries.know("encryption key", generate_key()), canaries.know("encryption key", generate_key()))
    password, admin = canaries.new("database password"), canaries.new("admin key", plain=True, prefix="sw_")
    # Roles belong to the whole server, which another run may use as well.
    role = f"canary_{uuid4().hex}"
    await as_owner(database_url, f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{password}'")
    try:
        async with listening(echo) as port, listening(mails) as mail_port, Loopback(collector) as traces:
            echo.url = f"http://127.0.0.1:{port}"
            mail_login = quote(canaries.new("mail password"), safe="")
            settings = environment(
                with_login(database_url, role, password),
                folder,
                ring[0],
                SEATWISE_ADMIN_KEY=admin,
                SEATWISE_SECRETS_DIR=str(folder / "secrets"),
                SEATWISE_SMTP_URL=f"smtp://me:{mail_login}@127.0.0.1:{mail_port}",
                SEATWISE_OIDC_ISSUER=f"{echo.url}/issuer",
                SEATWISE_OIDC_AUDIENCE="seatwise",
                SEATWISE_LOG_LEVEL="debug",
                SEATWISE_VENDOR_RETRY_S="0",
                SEATWISE_WEBHOOK_RETRIES="1s",
                SEATWISE_HOST_CONCURRENCY="32",
                SEATWISE_SYNC_CONCURRENCY="16",
                CANARY_TOKEN=canaries.new("secret in the environment"),
                CANARY_ID="from-the-environment",
                **tracing_to(traces.base_url, canaries),
            )
            yield World(canaries, echo, mails, collector, folder, settings, key, ring)
    finally:
        await as_owner(database_url, f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP ROLE {role}")


def tracing_to(url: str, canaries: Canaries) -> dict[str, str]:
    """What sends traces to a collector that asks for a key."""
    key = canaries.new("key of the collector", plain=True)
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={key}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


@pytest.mark.timeout(400)
async def test_no_secret_is_seen_where_it_has_no_business(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path) as there:
        canaries, settings = there.canaries, there.settings
        replica = Replica(settings, tmp_path)
        replica.start()
        try:
            await replica.ready()
            async with httpx.AsyncClient(base_url=replica.url, timeout=30) as client:
                caller = Caller(client, settings["SEATWISE_ADMIN_KEY"], canaries)
                await plant(caller, canaries, database_url)
                await drive(caller, canaries, there.echo, tmp_path, there.key)
                await with_faults(caller, canaries, database_url, there.echo)
                await eventually(lambda: settled(caller), within_s=120)
                await caller.everything()
            commands = await rotations(there, database_url)
            replica.stop()
        finally:
            replica.kill()
        log = (tmp_path / f"{replica.port}.log").read_bytes()
        places = {
            "log": log.splitlines(),
            "answers": caller.answered,
            "database": await dumped(database_url),
            "traces": there.collector.bodies,
            "commands": commands,
        }
    assert_told(there)
    blind = {place for place, lines in places.items() if CONTROL not in canaries.named_in(b"\n".join(lines))}
    found = {place: leaks(canaries, lines, allowed=frozenset({CONTROL, QUEUED})) for place, lines in places.items()}
    assert {place: seen for place, seen in found.items() if seen} == {}
    assert blind == set(), "nothing can be found there"
    assert QUEUED in canaries.named_in(b"\n".join(places["database"]))
    assert b'"level": "debug"' in log


# Words that are put into each place in clear, and have to be found there as a secret would be.
CONTROL, QUEUED = "the control", "the control of the queue"


async def plant(caller: Caller, canaries: Canaries, database_url: str) -> None:
    """The controls: an id for answers, logs and traces, a name for the database, a job that nobody works."""
    word = canaries.new(CONTROL, plain=True)
    await caller.call("GET", "/v1/people", headers={"X-Request-Id": word})
    await caller.call("PUT", "/v1/notification-recipients", json={"emails": [f"{word}@example.com"]})
    connection = await asyncpg.connect(database_url)
    job = json.dumps({"word": canaries.new(QUEUED, plain=True)}).encode()
    await Queries.from_asyncpg_connection(connection).enqueue("nobody's job", job)
    await connection.close()


async def rotations(there: World, database_url: str) -> list[bytes]:
    """What commands say, also where they cannot do what they are asked."""
    settings, ring = there.settings, there.ring
    fresh, stranger = f"{ring[1]},{ring[0]}", there.canaries.know("encryption key", generate_key())
    doctor, alien, unknown = await asyncio.gather(
        asyncio.to_thread(command, settings, "doctor"),
        asyncio.to_thread(command, {**settings, "SEATWISE_ENCRYPTION_KEYS": stranger}, "vault", "rotate"),
        asyncio.to_thread(
            command, settings, "sync", "x", "--server", f"http://127.0.0.1:9/{there.canaries.values[CONTROL]}"
        ),
    )
    # One secret's text was damaged, so that the keys cannot open it.
    await as_owner(
        database_url,
        "UPDATE credentials SET sealed = left(sealed, -8) || 'AAAAAAAA' WHERE name = 'number 0'",
    )
    rotated = await asyncio.to_thread(command, {**settings, "SEATWISE_ENCRYPTION_KEYS": fresh}, "vault", "rotate")
    assert b"does not hold the key" in alien
    assert b"cannot be opened with any of the keys" in rotated
    return [doctor, alien, unknown, rotated]


def command(settings: dict[str, str], *words: str) -> bytes:
    ran = subprocess.run(
        [sys.executable, "-m", "app.cli", *words], env=settings, cwd=ROOT, capture_output=True, check=False
    )
    return ran.stdout + ran.stderr


def assert_told(there: World) -> None:
    """The secrets were really sent to those who repeat them, or the search would prove nothing."""
    heard = there.canaries.named_in("\n".join([*there.echo.told, *there.mails.told]))
    assert {
        "okta 401", "okta 500", "okta 302", "pingone post", "pingone basic", "pingone 302", "ironclad", "bearer 401",
        "bearer 302", "webhook client 200", "minted token", "mail password", "secret in the environment",
        "secret in a file",
    } <= heard  # fmt: skip
    assert "key of the collector" in there.canaries.named_in(b"".join(there.collector.headers))
