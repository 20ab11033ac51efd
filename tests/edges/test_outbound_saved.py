"""A hostile URL is refused in plain words by every field that takes one."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

import app
from app.core.errors import InvalidInput, PagingError
from app.http.egress import check_url
from app.http.pages import follow
from tests.conftest import Api
from tests.edges.hostile import HOSTS, ODD_URLS, URLS
from tests.edges.outbound import CLIENT, OAUTH, WAYS, made_webhook

# Whoever else talks: the command line to the service, the demo to its own vendors, mail to the operator's server.
OWN_TALK = {"http/client.py", "console/client.py", "demo", "notifications/mail.py"}
TALKERS = {"AsyncClient", "Client", "urlopen", "create_connection", "open_connection", "getaddrinfo", "SMTP"}


@pytest.mark.parametrize("url", URLS + [f"http://{host}/v1" for host in HOSTS])
def test_the_guard_refuses_it(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, (), pointer="#/url")
    assert refused.value.errors[0].pointer == "#/url"


def credential(connector: str) -> dict[str, Any]:
    first = connector == "okta"
    return {
        "connector": connector,
        "scheme": "api_token" if first else OAUTH,
        "secrets": {"api_token": "x"} if first else CLIENT,
    }


@pytest.mark.parametrize(
    ("path", "connector"),
    [
        ("/v1/credentials", "okta"),
        ("/v1/credentials", "pingone"),
        ("/v1/credentials", "ironclad-clickwrap"),
        ("/v1/credentials", "sailpoint-isc"),
        ("/v1/instances", "okta"),
        ("/v1/instances", "pingone"),
        ("/v1/instances", "ironclad-clickwrap"),
    ],
)
async def test_no_option_takes_it(guarded: Api, path: str, connector: str) -> None:
    names = ["api_url", "auth_url", *(["sso_url"] if connector == "okta" else [])]
    body = credential(connector) if path == "/v1/credentials" else {"connector": connector}
    for url in URLS:
        answer = await guarded.post(path, json={"name": str(uuid4()), **body, "options": dict.fromkeys(names, url)})
        assert answer.status_code == 422, (url, answer.text)
        named = {error["pointer"] for error in answer.json()["errors"]}
        assert {f"#/options/{name}" for name in names} <= named, url


async def test_no_change_of_options_takes_it(guarded: Api) -> None:
    made = await guarded.post("/v1/instances", json={"name": str(uuid4()), "connector": "pingone"})
    for path in (await WAYS["okta, API"].credential(guarded), f"/v1/instances/{made.json()['id']}"):
        before = (await guarded.get(path)).json()
        for url in URLS:
            answer = await guarded.patch(path, json={"options": {"api_url": url, "auth_url": url}})
            assert answer.status_code == 422, (url, answer.text)
        assert (await guarded.get(path)).json() == before


async def test_no_webhook_takes_it(guarded: Api) -> None:
    path = await made_webhook(guarded, "https://example.com/", "https://example.com/token")
    before = (await guarded.get(path)).json()
    for url in URLS:
        auth = {"type": OAUTH, "token_url": url, **CLIENT}
        for answer in (
            await guarded.post("/v1/webhooks", json={"name": str(uuid4()), "url": url, "auth": auth}),
            await guarded.patch(path, json={"auth": {"token_url": url}}),
            await guarded.patch(path, json={"url": url}),
        ):
            assert answer.status_code == 422, (url, answer.text)
            assert CLIENT["client_secret"] not in answer.text
    assert (await guarded.get(path)).json() == before


@pytest.mark.parametrize("link", URLS + [f"//{host}/next" for host in HOSTS])
def test_no_next_link_leads_to_it(link: str) -> None:
    base = "https://vendor.example.com/api/v1/users"
    try:
        followed = httpx.URL(follow(base, link, same_hosts=["other.example.com"]))
    except PagingError:
        return
    assert link in ODD_URLS
    assert (followed.scheme, followed.host, followed.port) == ("https", "vendor.example.com", None)


def test_nobody_talks_beside_the_guard() -> None:
    """Whatever goes out goes through the one client: nothing else in the house makes a client or opens a socket."""
    root = Path(app.__file__).parent
    talking = set()
    for file in root.rglob("*.py"):
        own = file.relative_to(root).as_posix()
        if own in OWN_TALK or own.partition("/")[0] in OWN_TALK:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if name in TALKERS:
                talking.add((own, name))
    assert talking == {("http/egress.py", "getaddrinfo")}
