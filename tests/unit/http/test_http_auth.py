from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from app.core.errors import CredentialRefused, InsufficientPermissions, InvalidOptions, UnexpectedAnswer
from app.http.auth import ClientCredentials, MemoryTokenStore, PrivateKeyJwt, StaticToken, private_key_problem
from app.http.ports import Token
from app.http.tokens import is_due, oauth_error, read_token, refusal
from tests.unit.http.http_servers import START

URL = "https://auth.example/as/token"
SECRET = "s3cr&t +/="


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


RSA = pem(rsa.generate_private_key(65537, 2048))
EC = pem(ec.generate_private_key(ec.SECP256R1()))


def test_the_secret_goes_into_the_body_or_the_header_as_chosen() -> None:
    post = ClientCredentials(URL, "me", SECRET, scope="a b").token_request()
    assert parse_qs(post.content.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["a b"],
        "client_id": ["me"],
        "client_secret": [SECRET],
    }
    basic = ClientCredentials(URL, "me", SECRET, "client_secret_basic").token_request()
    assert basic.headers["Authorization"] == "Basic bWU6czNjciZ0ICsvPQ=="
    assert parse_qs(basic.content.decode()) == {"grant_type": ["client_credentials"]}


def test_a_json_body_where_the_vendor_reads_no_forms() -> None:
    request = ClientCredentials(URL, "me", SECRET, encoding="json").token_request()
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.content)["client_secret"] == SECRET
    basic = ClientCredentials(URL, "me", SECRET, "client_secret_basic", encoding="json").token_request()
    assert json.loads(basic.content) == {"grant_type": "client_credentials"}
    assert basic.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")])
def test_an_assertion_is_signed_by_the_kind_of_key(key: str, algorithm: str) -> None:
    form = parse_qs(PrivateKeyJwt(URL, "me", key, "key-1", "okta.users.read").token_request().content.decode())
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert form["scope"] == ["okta.users.read"]
    kind = RSAKey if algorithm == "RS256" else ECKey
    token = jwt.decode(form["client_assertion"][0], kind.import_key(key), algorithms=[algorithm])
    assert token.header["kid"] == "key-1"
    assert (token.claims["iss"], token.claims["sub"], token.claims["aud"]) == ("me", "me", URL)
    assert 0 < token.claims["exp"] - token.claims["iat"] <= 300
    assert token.claims["jti"]


def test_each_try_has_its_own_assertion_and_a_jwk_its_own_key_id() -> None:
    jwk = json.dumps({**ECKey.import_key(EC).as_dict(private=True), "kid": "from-jwk"})
    auth = PrivateKeyJwt(URL, "me", jwk)
    first, second = (parse_qs(auth.token_request().content.decode())["client_assertion"][0] for _ in range(2))
    assert first != second
    assert jwt.decode(first, ECKey.import_key(EC), algorithms=["ES256"]).header["kid"] == "from-jwk"


def test_keys_as_people_paste_them() -> None:
    assert private_key_problem(RSA) is None
    assert private_key_problem(f"\n  {RSA}\n") is None
    assert private_key_problem(RSA.replace("\n", "\\n")) is None
    public = json.dumps(ECKey.import_key(EC).as_dict(private=False))
    assert "public key" in (private_key_problem(public) or "")
    for bad in ("", "hello", "{", "{}", "[1]", pem(ed25519.Ed25519PrivateKey.generate()), RSA[:200]):
        problem = private_key_problem(bad)
        assert problem
        assert "PEM" in problem
        assert not bad or len(bad) < 5 or bad not in problem


def test_no_secret_shows_in_any_repr() -> None:
    shown = [
        ClientCredentials(URL, "me", "hidden"),
        PrivateKeyJwt(URL, "me", "hidden"),
        StaticToken("SSWS", "hidden"),
        ClientCredentials(URL, "me", "hidden").token_request(),
        Token("hidden", START, None),
    ]
    assert "hidden" not in repr(shown)


def test_a_static_token_is_sent_as_it_was_meant() -> None:
    assert StaticToken("SSWS", "00abc\n").authorization() == "SSWS 00abc"
    for value in ("", "a\nb", "…"):
        with pytest.raises(CredentialRefused):
            StaticToken("SSWS", value).authorization()


@pytest.mark.parametrize(
    ("told", "life"), [("3600", 3600), ('"3600"', 3600), ("0.5", 0.5), ("null", None), ('"soon"', None), ("0", None)]
)
def test_the_life_of_a_token_may_be_a_number_a_text_or_absent(told: str, life: float | None) -> None:
    token = read_token(b'{"access_token": "t", "expires_in": %s}' % told.encode(), START)
    assert token.expires_at == (None if life is None else START + timedelta(seconds=life))
    assert read_token(b'{"access_token": "t"}', START).expires_at is None


@pytest.mark.parametrize("body", [b"{}", b"[]", b"1", b'{"access_token": ""}', b'{"access_token": 5}', b"", b"\xff"])
def test_an_answer_without_a_token_is_unexpected(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        read_token(body, START)


@pytest.mark.parametrize(("life", "due"), [(3600, 3540), (300, 270), (600, 540), (2, 1.8)])
def test_a_token_is_renewed_at_the_later_of_a_minute_before_its_end_and_nine_tenths_of_its_life(
    life: float, due: float
) -> None:
    token = Token("t", START, START + timedelta(seconds=life))
    assert not is_due(token, START + timedelta(seconds=due - 0.01))
    assert is_due(token, START + timedelta(seconds=due))
    assert not is_due(Token("t", START, None), START + timedelta(days=999))


def test_refusals_are_read_in_every_shape() -> None:
    assert oauth_error(b'{"error":"invalid_client","error_description":"no"}') == ("invalid_client", "no")
    assert oauth_error(b'{"code":"ACCESS_FAILED","message":"no"}') == ("ACCESS_FAILED", "no")
    assert oauth_error(b'{"errorCode":"E0000011","errorSummary":"no"}') == ("E0000011", "no")
    assert oauth_error(b'{"error":{"message":"no","status":401,"name":"Unauthorized"}}') == ("Unauthorized", "no")
    assert oauth_error(b"nope") == (None, None)


def test_what_a_refusal_means() -> None:
    assert isinstance(refusal(401, "invalid_client", None, hint=""), CredentialRefused)
    assert isinstance(refusal(400, "invalid_grant", None, hint=""), CredentialRefused)
    assert isinstance(refusal(403, None, None, hint=""), CredentialRefused)
    assert isinstance(refusal(400, "invalid_scope", None, hint=""), InsufficientPermissions)
    assert isinstance(refusal(404, None, None, hint=""), InvalidOptions)
    assert isinstance(refusal(415, None, None, hint=""), UnexpectedAnswer)


async def test_one_renewal_serves_all_who_wait() -> None:
    store, fetched = MemoryTokenStore(), 0

    async def fetch() -> Token:
        nonlocal fetched
        fetched += 1
        await asyncio.sleep(0.01)
        return Token(f"t{fetched}", START, None)

    tokens = await asyncio.gather(*(store.renew(None, fetch) for _ in range(10)))
    assert {token.value for token in tokens} == {"t1"}
    again = await asyncio.gather(*(store.renew(tokens[0], fetch) for _ in range(10)))
    assert {token.value for token in again} == {"t2"}
    assert (await store.renew(tokens[0], fetch)).value == "t2"
    assert await store.current() == again[0]
    assert fetched == 2


async def test_a_failed_renewal_is_tried_again_by_the_next() -> None:
    store = MemoryTokenStore()

    async def failing() -> Token:
        raise CredentialRefused("no")

    async def fine() -> Token:
        return Token("t", START, None)

    with pytest.raises(CredentialRefused):
        await store.renew(None, failing)
    assert (await store.renew(None, fine)).value == "t"
