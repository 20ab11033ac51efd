"""Secrets in every place of a request where they do not belong."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey

from tests.edges.calling import Caller
from tests.edges.canaries import Canaries

JSON = {"Content-Type": "application/json"}


async def misplace(caller: Caller, canaries: Canaries) -> None:
    """Try all places, with a token that looks like nothing in particular, one of our keys, and a JWT."""
    key = OctKey.generate_key(256)
    signed = jwt.encode({"alg": "HS256"}, {"sub": "somebody", "jti": canaries.new("a JWT's own id")}, key)
    for secret in (
        canaries.new("misplaced token", plain=True),
        canaries.new("misplaced key", plain=True, prefix="sw_"),
        canaries.know("misplaced JWT", signed),
    ):
        await _in_credentials(caller, secret)
        await _in_webhooks(caller, secret)
        await _in_paths_and_queries(caller, secret)
        await _in_headers(caller, secret)
        await _in_bodies(caller, secret)
        await _at_the_door(caller, secret)
        await _below_http(caller, secret)


async def _in_credentials(caller: Caller, secret: str) -> None:
    good = {"name": "x", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": secret}}
    userinfo = f"https://me:{secret}@acme.okta.com"
    for body in (
        {**good, "scheme": secret[:90]},
        {**good, "connector": secret},
        {**good, "secrets": {"api_tokem": secret}},
        {**good, "secrets": {"api_token": secret * 1000}},
        {**good, "secrets": {"api_token": {"env": secret}}, "storage": "local"},
        {**good, "secrets": {"api_token": {"file": f"/etc/{secret}"}}, "storage": "local"},
        {**good, "secrets": {"api_token": secret, secret: secret}},
        {**good, "secrets": secret},
        {**good, "storage": secret},
        {**good, "options": {"sso_url": userinfo}},
        {**good, "options": {"sso_url": "https://acme.okta.com", "api_url": userinfo}},
        {**good, "options": {"sso_url": "https://acme.okta.com", "api_url": f"https://acme.okta.com/?key={secret}"}},
        {**good, "options": {"sso_url": "https://acme.okta.com", secret: secret}},
        {**good, "connector": "pingone", "options": {"region": secret, "environment_id": secret}},
        {**good, "name": "", "expires_at": secret},
    ):
        await caller.call("POST", "/v1/credentials", json=body)


async def _in_webhooks(caller: Caller, secret: str) -> None:
    good: dict[str, Any] = {"name": "x", "url": "https://example.com/", "auth": {"type": "none"}}
    oauth = {"type": "oauth2_client_credentials", "client_id": "c", "client_secret": secret}
    for change in (
        {"url": f"https://me:{secret}@example.com/"},
        {"url": f"ftp://example.com/{secret}"},
        {"url": f"https://10.0.0.1/?{secret}"},
        {"auth": {"type": "bearer", "client_secret": secret, "token_url": secret}},
        {"auth": {**oauth, "token_url": f"https://me:{secret}@example.com/token"}},
        {"auth": {"type": secret, "secret": secret}},
        {"auth": {"type": "bearer", "secret": f"{secret}\n"}},
        {"auth": secret},
        {"events": [secret]},
        {"format": secret},
        {"max_message_bytes": secret},
    ):
        await caller.call("POST", "/v1/webhooks", json={**good, **change})


async def _in_paths_and_queries(caller: Caller, secret: str) -> None:
    shown = quote(secret, safe="")
    for path in (
        f"/v1/people?access_token={shown}&q={shown}",
        f"/v1/people?{shown}=1",
        f"/v1/people?cursor={shown}",
        f"/v1/people?limit={shown}",
        f"/v1/people/{shown}",
        f"/v1/connectors/{shown}",
        f"/v1/{shown}",
        f"/{shown}/people",
        f"/v1/accounts?metadata.{shown}=1",
        f"/v1/accounts?sort={shown}",
        f"/v1/accounts?as_of={shown}",
        f"/links/report-runs/01990000-0000-7000-8000-000000000000?format=csv&expires=1&signature={shown}",
        f"/docs?token={shown}",
    ):
        await caller.call("GET", path)
    for method in ("POST", "DELETE", "PATCH", secret.replace("/", "").replace("=", "")):
        await caller.call(method, f"/v1/instances/{shown}", json={})


async def _in_headers(caller: Caller, secret: str) -> None:
    for name in (
        "X-Api-Key", "X-Auth-Token", "Cookie", "Proxy-Authorization", "User-Agent", "Referer", "If-Match", "Accept",
        "If-None-Match", "Idempotency-Key", "Last-Event-ID", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via",
        "Origin", "traceparent", "tracestate", "baggage", "Content-Type", "Accept-Language", "Range", "Prefer",
    ):  # fmt: skip
        value = f"token={secret}" if name in {"Cookie", "tracestate", "baggage"} else secret
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        named: dict[str, str] = {name: value} if name == "traceparent" else {**trace, name: value}
        field = {"kind": "person", "type": "text", "title": "A field", "key": f"f{abs(hash((name, secret)))}"}
        await caller.call("GET", "/v1/people", headers=named)
        await caller.call("POST", "/v1/fields", headers={**JSON, **named}, content=json.dumps(field))
    if secret.startswith(("sw_", "eyJ")):
        # An id may be any word, so of these only what is a secret by its looks is known for one.
        await caller.call("GET", "/v1/people", headers={"X-Request-Id": secret[:128]})


async def _in_bodies(caller: Caller, secret: str) -> None:
    cut = f'{{"secrets": {{"api_token": "{secret}"'
    for content, kind in (
        (cut.encode(), "application/json"),
        (f'{{"name": "{secret}", "name": 1}}'.encode(), "application/json"),
        (f'{{"{secret}": 1, "{secret}": 2}}'.encode(), "application/json"),
        (json.dumps(secret).encode(), "application/json"),
        (json.dumps([secret]).encode(), "application/json"),
        (secret.encode(), "application/json"),
        (f'{{"name": "{secret}'.encode() + b'\xff"}', "application/json"),
        (f"api_token={secret}".encode(), "application/x-www-form-urlencoded"),
        (secret.encode(), "text/plain"),
    ):
        await caller.call("POST", "/v1/credentials", content=content, headers={"Content-Type": kind})
    for path in ("/v1/api-keys", "/v1/fields", "/v1/reports", "/v1/instances", "/v1/contracts", "/v1/source-mappings"):
        await caller.call("POST", path, json={"unknown": secret, secret: 1})
        await caller.call("POST", path, json={"role": secret, "kind": secret, "dataset": secret, "connector": secret})
    report = {"name": "x", "dataset": "people", "columns": [secret], "sort": [secret], "window": secret}
    filters = [{"field": secret, "op": secret, "value": 1}]
    await caller.call("POST", "/v1/reports", json={**report, "outputs": [{"type": secret}]})
    await caller.call("POST", "/v1/reports", json={**report, "outputs": [], "filters": filters})
    await caller.call("POST", "/v1/reports/preview", json={**report, "columns": ["name"], "filters": filters})
    await caller.call("PUT", "/v1/notification-recipients", json={"emails": [secret]})


async def _at_the_door(caller: Caller, secret: str) -> None:
    for scheme in ("Bearer ", "Basic ", "SSWS ", ""):
        await caller.call("GET", "/v1/people", headers={"Authorization": f"{scheme}{secret}"})
    form = {"grant_type": "client_credentials", "client_id": secret, "client_secret": secret}
    for change in ({}, {"grant_type": secret}, {"scope": secret}, {secret: secret}):
        await caller.call("POST", "/oauth/token", data={**form, **change})
    await caller.call("POST", f"/oauth/token?client_secret={quote(secret, safe='')}", json=form)


async def _below_http(caller: Caller, secret: str) -> None:
    """What is no HTTP at all, told to the socket itself."""
    address = urlsplit(str(caller.client.base_url))
    for request in (
        f"GET /v1/people HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {secret}\r\n\r\n",
        f"GET /v1/people?{secret} {secret} HTTP/1.1\r\n\r\n",
        f"{secret}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(request.encode())
        writer.write_eof()
        async with asyncio.timeout(10):
            caller.answered.append(await reader.read())
        writer.close()
