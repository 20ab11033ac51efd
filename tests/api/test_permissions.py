"""Every route, called with every role and with none: whoever may not is told so before anything else is looked at."""

from __future__ import annotations

import os
import re
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from app.access.principal import ROLES, Role
from app.api.permissions import Permission, as_markdown, permissions
from tests.api.instances import make
from tests.api.problems import assert_problem
from tests.conftest import Api

TABLE = Path(__file__).parents[2] / "docs" / "permissions.md"
NOBODY = str(UUID(int=0))
OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/oauth/token", "/.well-known/jwks.json"}


@pytest.fixture(scope="module")
def table(api: Api) -> list[Permission]:
    return permissions(api.app)


@pytest_asyncio.fixture(scope="module")
async def callers(api: Api) -> dict[Role, Api]:
    instance = await make(api)
    bound = await api.post("/v1/api-keys", json={"name": "runner", "role": "ingest", "instance_id": instance["id"]})
    others: list[Role] = ["viewer", "operator", "admin"]
    callers: dict[Role, Api] = {role: await api.as_role(role) for role in others}
    return callers | {"ingest": api.with_key(bound.json()["key"])}


def path_of(permission: Permission) -> str:
    return re.sub(r"\{[^}]+\}", NOBODY, permission.path)


async def test_only_what_has_to_be_is_open(table: list[Permission]) -> None:
    opened = {each.path for each in table if each.role is None and not each.path.startswith(("/docs", "/links/"))}
    assert opened <= OPEN
    assert [each for each in table if each.path.startswith("/v1/") and each.role is None] == []


async def test_nobody_comes_in_without_a_key(api: Api, table: list[Permission]) -> None:
    nobody, stranger = api.anonymous(), api.with_key("sw_no-such-key")
    for each in table:
        if each.role is not None:
            assert_problem(await nobody.request(each.method, path_of(each)), 401)
            assert_problem(await stranger.request(each.method, path_of(each)), 401)


async def test_a_role_may_what_the_table_says_and_no_more(callers: dict[Role, Api], table: list[Permission]) -> None:
    for each in table:
        if each.role is None:
            continue
        for role in ROLES:
            answer = await callers[role].request(each.method, path_of(each))
            if ROLES.index(role) < ROLES.index(each.role):
                assert_problem(answer, 403)
            else:
                assert answer.status_code not in (401, 403, 500), (each, role, answer.text)


async def test_the_table_in_the_docs_is_that_of_the_code(table: list[Permission]) -> None:
    text = as_markdown(table)
    if os.environ.get("SEATWISE_UPDATE_SNAPSHOTS"):
        TABLE.write_text(text)
    assert TABLE.read_text() == text, "SEATWISE_UPDATE_SNAPSHOTS=1 writes it anew"
