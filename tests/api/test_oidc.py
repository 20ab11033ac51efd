"""Frontends with a token of the company's identity provider: a real issuer on loopback, keys that change, liars."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from app.access.oidc import FETCHES, FRESH_S, Fetches, Issuer, role_in
from app.core.ids import new_id
from app.core.settings import Settings
from app.main import create_app
from app.sync.runtime import Runtime
from tests.api.problems import assert_problem
from tests.conftest import Api

AUDIENCE = "seatwise"


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


@dataclass
class Provider:
    """An identity provider: its keys can be changed, its answers broken off, its calls counted.

    named   the issuer that its discovery document names; None for itself.
    """

    url: str = ""
    named: str | None = None
    keys: list[RSAKey | ECKey] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    down: bool = False

    def rotate(self, kid: str) -> None:
        self.keys = [new_key(kid)]

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if self.down:
            return 503, {}
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": self.named or self.url, "jwks_uri": f"{self.url}/keys"}
        listed: list[Any] = [key.as_dict(private=False) for key in self.keys]
        return 200, {"keys": [*listed, {"kty": "oct", "kid": "odd", "k": "AAAA"}, {"kty": "RSA"}, "odd"]}

    def token(self, key: RSAKey | ECKey | None = None, **claims: Any) -> str:
        key = key or self.keys[0]
        alg = "ES256" if isinstance(key, ECKey) else "RS256"
        now = int(time.time())
        standard = {"iss": self.url, "aud": AUDIENCE, "sub": "u-1", "iat": now, "exp": now + 300, "name": "Ada"}
        sent = {name: value for name, value in (standard | claims).items() if value is not None}
        header = {"alg": alg, "kid": key.kid} if key.kid else {"alg": alg}
        return jwt.encode(header, sent, key, algorithms=[alg])


def signed_by_hand(key: RSAKey | ECKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token with any head, also one that no library would write."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    private = serialization.load_pem_private_key(key.as_pem(private=True), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    numbers = decode_dss_signature(private.sign(b".".join(parts), ec.ECDSA(hashes.SHA256())))
    signature = b"".join(number.to_bytes(32) for number in numbers)
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[Provider]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        provider.calls.append(path)
        status, body = provider.answer(path)
        raw = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\nconnection: close\r\n\r\n".encode() + raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.close()
        await server.wait_closed()


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    made.rotate("k1")
    async with serving(made) as provider:
        yield provider


def settings_for(runtime: Runtime, provider: Provider, **more: Any) -> Settings:
    update = {"oidc_issuer": provider.url, "oidc_audience": AUDIENCE, **more}
    return runtime.settings.model_copy(update=update)


@pytest_asyncio.fixture
async def front(runtime: Runtime, provider: Provider) -> AsyncIterator[Api]:
    """The service as a frontend with a token sees it."""
    app = create_app(replace(runtime, settings=settings_for(runtime, provider)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test") as client:
        yield Api(client, app, runtime, None)


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("operator", 403), ("admin", 200)])
async def test_a_token_has_the_role_of_its_claim(front: Api, provider: Provider, role: str, status: int) -> None:
    caller = front.with_key(provider.token(seatwise_role=role))
    assert (await caller.get("/v1/connectors")).status_code == 200
    assert (await caller.get("/v1/api-keys")).status_code == status


async def test_what_it_changes_is_audited_under_its_name(front: Api, provider: Provider) -> None:
    caller = front.with_key(provider.token(seatwise_role="admin", email="ada@example.com"))
    made = await caller.post("/v1/fields", json={"key": "site", "title": "Site", "kind": "person", "type": "text"})
    assert made.status_code == 201, made.text
    event = (await caller.get(f"/v1/audit-events?resource_id={made.json()['id']}")).json()["items"][0]
    assert event["actor"]["type"] == "oidc"
    assert event["actor"]["name"] == "Ada"


@pytest.mark.parametrize(
    ("claims", "name", "email"),
    [
        ({"name": "Ada\r\nBcc: eve@example.com\x00", "email": "ada@example.com"}, "Ada Bcc: eve@example.com", True),
        ({"name": "A" * 5000, "email": "a@b\r\nBcc: eve@example.com"}, "A" * 200, False),
        ({"name": {"first": "Ada"}, "preferred_username": "ada", "email": {"a": 1}}, "ada", False),
        ({"name": None, "email": "ada@example.com, eve@example.com"}, "u-1", False),
    ],
)
async def test_whatever_a_token_claims_is_kept_as_a_name_of_one_line_and_one_address(
    front: Api, provider: Provider, claims: dict[str, Any], name: str, *, email: bool
) -> None:
    caller = front.with_key(provider.token(seatwise_role="admin", **claims))
    made = await caller.post(
        "/v1/reports", json={"name": f"As {new_id()}", "dataset": "people", "columns": ["name"], "schedule": None}
    )
    assert made.status_code == 201, made.text
    creator = made.json()["created_by"]
    assert (creator["name"], creator["email"]) == (name, claims["email"] if email else None)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"pi.atm": "1", "nonce": "x"}, 200),
        ({"typ": "at+jwt"}, 200),
        ({"typ": "application/AT+JWT"}, 200),
        ({"typ": "logout+jwt"}, 401),
        ({"typ": 1}, 401),
        ({"x": 1, "crit": ["x"]}, 401),
        ({"b64": False, "crit": ["b64"]}, 401),
    ],
)
async def test_what_the_head_of_a_token_says(
    front: Api, provider: Provider, header: dict[str, Any], status: int
) -> None:
    claims = {
        "iss": provider.url,
        "aud": AUDIENCE,
        "sub": "u-1",
        "exp": int(time.time()) + 300,
        "seatwise_role": "viewer",
    }
    signed = signed_by_hand(provider.keys[0], {"alg": "ES256", "kid": provider.keys[0].kid, **header}, claims)
    assert (await front.with_key(signed).get("/v1/connectors")).status_code == status


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
    ],
)
async def test_a_token_that_is_not_valid_here_is_refused(
    front: Api, provider: Provider, claims: dict[str, Any]
) -> None:
    assert_problem(await front.with_key(provider.token(seatwise_role="admin", **claims)).get("/v1/connectors"), 401)


@pytest.mark.parametrize(
    ("claim", "from_now_s", "status"), [("exp", -30, 200), ("exp", -120, 401), ("nbf", 30, 200), ("nbf", 120, 401)]
)
async def test_clocks_may_differ_by_a_minute_and_no_more(
    front: Api, provider: Provider, claim: str, from_now_s: int, status: int
) -> None:
    claims: dict[str, Any] = {claim: int(time.time()) + from_now_s}
    token = provider.token(seatwise_role="viewer", **claims)
    assert (await front.with_key(token).get("/v1/connectors")).status_code == status


async def test_an_issuer_may_sign_with_rsa(front: Api, provider: Provider) -> None:
    provider.keys = [RSAKey.generate_key(2048, {"kid": "r1"})]
    assert (await front.with_key(provider.token(seatwise_role="viewer")).get("/v1/connectors")).status_code == 200


async def test_a_key_for_encryption_is_none_for_signatures(front: Api, provider: Provider) -> None:
    """Of an issuer that names its keys by no id, the only one that signs is meant."""
    provider.keys = [ECKey.generate_key("P-256"), ECKey.generate_key("P-256", {"use": "enc"})]
    assert (await front.with_key(provider.token(seatwise_role="viewer")).get("/v1/connectors")).status_code == 200


async def test_of_several_audiences_one_is_enough(front: Api, provider: Provider) -> None:
    token = provider.token(seatwise_role="viewer", aud=["portal", AUDIENCE])
    assert (await front.with_key(token).get("/v1/connectors")).status_code == 200


async def test_a_token_without_a_known_role_may_not_come_in(front: Api, provider: Provider) -> None:
    for role in (None, "owner", "ingest", ["guest"], {"a": 1}):
        refused = await front.with_key(provider.token(seatwise_role=role)).get("/v1/connectors")
        assert "seatwise_role" in assert_problem(refused, 403)["detail"]


async def test_nobody_signs_for_the_issuer(front: Api, provider: Provider) -> None:
    claims = provider.token(seatwise_role="admin").split(".")[1]
    by_stranger = provider.token(new_key("k1"), seatwise_role="admin")
    unsigned = _encoded(b'{"alg":"none","kid":"k1"}') + f".{claims}."
    shared = _encoded(b'{"alg":"HS256","kid":"k1"}') + f".{claims}"
    by_public_key = hmac.digest(provider.keys[0].as_pem(private=False), shared.encode(), "sha256")
    for token in (by_stranger, unsigned, f"{shared}.{_encoded(by_public_key)}"):
        assert_problem(await front.with_key(token).get("/v1/connectors"), 401)


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


async def test_a_new_key_of_the_issuer_is_taken_up_at_once(front: Api, provider: Provider) -> None:
    assert (await front.with_key(provider.token(seatwise_role="viewer")).get("/v1/connectors")).status_code == 200
    old = provider.token(seatwise_role="viewer")
    provider.rotate("k2")
    assert (await front.with_key(provider.token(seatwise_role="viewer")).get("/v1/connectors")).status_code == 200
    assert_problem(await front.with_key(old).get("/v1/connectors"), 401)


async def test_a_key_that_the_issuer_has_withdrawn_is_believed_for_ten_minutes_at_most(
    front: Api, provider: Provider
) -> None:
    old = front.with_key(provider.token(seatwise_role="viewer"))
    assert (await old.get("/v1/connectors")).status_code == 200
    provider.rotate("k2")
    issuer: Issuer = front.app.state.authentication.issuer
    issuer.clock = lambda: time.monotonic() + FRESH_S + 1
    assert_problem(await old.get("/v1/connectors"), 401)


async def test_keys_that_another_issuer_publishes_are_not_taken(front: Api, provider: Provider) -> None:
    provider.named = "https://login.example.com"
    assert_problem(await front.with_key(provider.token(seatwise_role="admin")).get("/v1/connectors"), 503)
    assert provider.calls == ["/.well-known/openid-configuration"]


async def test_a_burst_of_unknown_keys_asks_the_issuer_few_times(front: Api, provider: Provider) -> None:
    known = provider.token(seatwise_role="viewer")
    assert (await front.with_key(known).get("/v1/connectors")).status_code == 200
    tokens = [provider.token(new_key(f"x{n}"), seatwise_role="viewer") for n in range(40)]
    provider.calls.clear()
    answers = await asyncio.gather(*(front.with_key(token).get("/v1/connectors") for token in tokens))
    assert {answer.status_code for answer in answers} == {401}
    assert provider.calls.count("/keys") <= FETCHES
    assert (await front.with_key(known).get("/v1/connectors")).status_code == 200


async def test_while_the_issuer_is_down_known_keys_serve_and_unknown_ones_wait(front: Api, provider: Provider) -> None:
    provider.down = True
    token = provider.token(seatwise_role="viewer")
    waiting = await front.with_key(token).get("/v1/connectors")
    assert_problem(waiting, 503)
    assert "retry-after" in waiting.headers
    provider.down = False
    assert (await front.with_key(token).get("/v1/connectors")).status_code == 200
    provider.down = True
    issuer: Issuer = front.app.state.authentication.issuer
    issuer.clock = lambda: time.monotonic() + 100_000
    assert (await front.with_key(token).get("/v1/connectors")).status_code == 200


async def test_an_issuer_in_a_private_network_is_not_asked(runtime: Runtime, provider: Provider) -> None:
    app = create_app(replace(runtime, settings=settings_for(runtime, provider, outbound_allow=())))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test") as client:
        headers = {"Authorization": f"Bearer {provider.token(seatwise_role='admin')}"}
        assert_problem(await client.get("/v1/connectors", headers=headers), 503)
    assert provider.calls == []


def test_a_role_stands_in_a_text_a_list_or_deeper() -> None:
    assert role_in({"r": "operator"}, "r") == "operator"
    assert role_in({"r": ["viewer", "admin", "x"]}, "r") == "admin"
    assert role_in({"realm": {"roles": ["viewer"]}}, "realm.roles") == "viewer"
    assert role_in({"https://a.b/role": "admin"}, "https://a.b/role") == "admin"
    assert role_in({"realm": "x"}, "realm.roles") is None


def test_fetches_come_back_with_time() -> None:
    now = [0.0]
    fetches = Fetches(clock=lambda: now[0])
    assert [fetches.take() for _ in range(FETCHES + 2)] == [True] * FETCHES + [False, False]
    now[0] = 31
    assert [fetches.take(), fetches.take()] == [True, False]


def test_an_issuer_is_named_with_its_audience() -> None:
    with pytest.raises(ValueError, match="SEATWISE_OIDC_AUDIENCE"):
        Settings(_env_file=None, oidc_issuer="https://login.example.com")
