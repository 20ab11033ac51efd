"""What tests share: one PostgreSQL, a fresh database for each module, the application on it, and callers."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from pytest_socket import socket_allow_hosts

from app.access.keys import create_key
from app.access.principal import Role
from app.core import embedded
from app.core.database import Database, normalise_url, open_database
from app.core.ids import new_id
from app.core.schema import migrate
from app.core.settings import Settings
from app.main import create_app
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key
from tests.folders import open_to_others

LOOPBACK = ("127.0.0.0/8", "::1/128")


def pytest_runtest_setup() -> None:
    """A test reaches this machine and nothing else."""
    socket_allow_hosts(list(LOOPBACK), allow_unix_socket=True)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """For a test that sets up the log: its handler writes to what pytest captures, and is closed with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    logging.getLogger("uvicorn.access").disabled = False


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of the tests' own; SEATWISE_TEST_DATABASE_URL names another."""
    given = os.environ.get("SEATWISE_TEST_DATABASE_URL")
    if given:
        yield normalise_url(given)
        return
    folder: Path = tmp_path_factory.mktemp("postgres")
    open_to_others(folder)
    server = embedded.start(folder)
    yield server.url
    server.stop()


def _url_of(server_url: str, name: str) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


async def _execute(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest_asyncio.fixture(scope="session")
async def template(server_url: str) -> AsyncIterator[str]:
    """A migrated database, to be cloned."""
    name = f"template_{new_id().hex}"
    await _execute(server_url, f"CREATE DATABASE {name}")
    database = await open_database(_url_of(server_url, name), size=2)
    await migrate(database)
    await database.close()
    yield name
    await _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(scope="module")
async def database_url(server_url: str, template: str) -> AsyncIterator[str]:
    """The URL of a fresh database for the module."""
    name = f"test_{new_id().hex}"
    await _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _url_of(server_url, name)
    await _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_database(database_url, size=5)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url=SecretStr(database_url),
        data_dir=tmp_path_factory.mktemp("data"),
        secrets_dir=tmp_path_factory.mktemp("secrets"),
        admin_key=SecretStr("sw_the-first-key-of-the-tests"),
        admin_email="admin@example.com",
        outbound_allow=tuple(ip_network(network) for network in LOOPBACK),
        vendor_timeout_s=2,
        vendor_retry_s=0,
    )


@pytest.fixture(scope="module")
def runtime(settings: Settings, database: Database) -> Runtime:
    return Runtime(settings, database, Vault.from_keys(generate_key()))


@dataclass(frozen=True)
class Api:
    """The application as a client sees it; `as_role` is the same with a key of another role."""

    client: httpx.AsyncClient
    app: FastAPI
    runtime: Runtime
    key: str | None

    async def as_role(self, role: Role) -> Api:
        async with self.runtime.database.session() as session:
            made = create_key(session, name=f"a {role}", role=role, email=f"{role}@example.com")
        return replace(self, key=made.secret)

    def anonymous(self) -> Api:
        return replace(self, key=None)

    def with_key(self, key: str) -> Api:
        return replace(self, key=key)

    async def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = dict(kwargs.pop("headers", None) or {})
        if self.key is not None:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        return await self.client.request(method, path, headers=headers, **kwargs)

    async def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.request("GET", path, **kwargs)

    async def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.request("POST", path, **kwargs)

    async def patch(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.request("PATCH", path, **kwargs)

    async def put(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.request("PUT", path, **kwargs)

    async def delete(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.request("DELETE", path, **kwargs)


@pytest.fixture(scope="session")
def described() -> dict[str, Any]:
    """The API's description once a module has asked for it: it takes a second to make, and is the same for all."""
    return {}


@pytest_asyncio.fixture(scope="module")
async def api(runtime: Runtime, described: dict[str, Any]) -> AsyncIterator[Api]:
    """The application on the module's database, called with an admin's key."""
    app = create_app(runtime)
    app.openapi_schema = described or None
    async with runtime.database.session() as session:
        made = create_key(session, name="an admin", role="admin", email="admin@example.com")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://seatwise.test") as client:
        yield Api(client, app, runtime, made.secret)
    await app.state.turns.close()
    described.update(app.openapi_schema or {})
