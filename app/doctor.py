"""`seatwise doctor`: looks at everything that the service needs before anybody misses it. Changes nothing but, with the
embedded database, starting it for the time of the look.

Each check says what it saw and, where something is wrong, which variable or command mends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg
import httpx

from app.access.oidc import Issuer
from app.connectors import registry
from app.core import schema
from app.core.clock import now
from app.core.database import Database
from app.core.errors import SeatwiseError
from app.core.settings import Settings
from app.http.client import build_client
from app.notifications.mail import MailDelayed, MailServer, try_server
from app.opening import WrongKeysError, keyring, open_database_of, open_proof
from app.vault import Vault

OLDEST_SERVER = 150000
SKEW = timedelta(seconds=5)
REACH_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw. `detail` says what to do where it is not `ok`."""

    check: str
    ok: bool
    detail: str


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Every check in turn; what needs the database is left out where there is none."""
    yield Finding("configuration", ok=True, detail="Every variable can be read.")
    vault, finding = _keys(settings)
    yield finding
    async with AsyncExitStack() as stack:
        try:
            database = await stack.enter_async_context(open_database_of(settings))
        except (SeatwiseError, OSError, asyncpg.PostgresError) as error:
            yield Finding("database", ok=False, detail=_naming("SEATWISE_DATABASE_URL", error))
        else:
            async for each in _with_database(settings, database, vault):
                yield each
    yield await _mail(settings)
    yield await _issuer(settings)


def _keys(settings: Settings) -> tuple[Vault | None, Finding]:
    try:
        return keyring(settings), Finding("encryption keys", ok=True, detail="The ring is read.")
    except (WrongKeysError, OSError) as error:
        return None, Finding("encryption keys", ok=False, detail=_naming("SEATWISE_ENCRYPTION_KEYS", error))


def _naming(variable: str, error: Exception) -> str:
    """What is wrong, with the variable to mend."""
    told = str(error).rstrip(".")
    return f"{told}." if variable in told else f"{told}. Mend {variable}."


async def _with_database(settings: Settings, database: Database, vault: Vault | None) -> AsyncIterator[Finding]:
    yield await _server(database)
    yield await _clock(database)
    state = await _schema(database)
    yield state
    if not state.ok or not await database.pool.fetchval("SELECT to_regclass('signing_keys') IS NOT NULL"):
        return
    if vault is not None:
        yield await _proof(database, vault)
    yield await _outbound(settings, database)


async def _server(database: Database) -> Finding:
    number = int(await database.pool.fetchval("SHOW server_version_num"))
    shown = await database.pool.fetchval("SHOW server_version")
    if number < OLDEST_SERVER:
        return Finding("database", ok=False, detail=f"PostgreSQL {shown} is too old; SEATWISE_DATABASE_URL needs 15.")
    return Finding("database", ok=True, detail=f"PostgreSQL {shown} answers.")


async def _clock(database: Database) -> Finding:
    before = now()
    there = await database.pool.fetchval("SELECT clock_timestamp()")
    skew = abs(there - (before + (now() - before) / 2))
    told = f"This host and the database differ by {skew.total_seconds():.1f} s."
    ok = skew < SKEW
    return Finding("clock", ok=ok, detail=told if ok else f"{told} Let both follow a time server (NTP).")


async def _schema(database: Database) -> Finding:
    if await schema.at_head(database):
        return Finding("schema", ok=True, detail="The tables are those of this version.")
    if await database.pool.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return Finding("schema", ok=False, detail=await _other_version(database))
    if await database.pool.fetchval("SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"):
        return Finding("schema", ok=True, detail="The database is empty; the first start makes the tables.")
    detail = (
        "The user of SEATWISE_DATABASE_URL may not make tables. Let it own the database, or run `seatwise migrate` as "
        "one that may."
    )
    return Finding("schema", ok=False, detail=detail)


async def _other_version(database: Database) -> str:
    if await schema.is_servable(database):
        return "A newer version has upgraded the tables. Start that version; this one does not start on them any more."
    return "The tables are those of an older version. Run `seatwise migrate`; without it the next start does so."


async def _proof(database: Database, vault: Vault) -> Finding:
    try:
        known = await open_proof(database, vault)
    except WrongKeysError as error:
        return Finding("key ring", ok=False, detail=error.detail)
    detail = "The keys open what this database holds." if known else "The first start leaves the proof of its keys."
    return Finding("key ring", ok=True, detail=detail)


async def _outbound(settings: Settings, database: Database) -> Finding:
    """Whether the hosts of vendors and webhooks answer at all, through the guard; nothing secret is sent."""
    urls = {row["url"] for row in await database.pool.fetch("SELECT url FROM webhooks WHERE status = 'enabled'")}
    rows = await database.pool.fetch(
        "SELECT i.connector, coalesce(c.options, '{}') || i.options AS options FROM instances i "
        "LEFT JOIN credentials c ON c.id = i.credential_id WHERE i.status = 'live'"
    )
    urls |= {url for row in rows if (url := _api(row["connector"], row["options"]))}
    hosts = sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls)})
    async with build_client(allow=settings.outbound_allow, timeout_s=REACH_S) as client:
        problems = [each for each in await asyncio.gather(*(_reach(client, host) for host in hosts)) if each]
    if problems:
        detail = f"{' '.join(problems)} Mend the network, or SEATWISE_OUTBOUND_ALLOW for hosts of your own."
        return Finding("outbound", ok=False, detail=detail)
    return Finding("outbound", ok=True, detail=f"{len(hosts)} hosts of live instances and webhooks answer.")


def _api(connector: str, options: dict[str, str]) -> str | None:
    try:
        return registry.api_base(connector, options)
    except SeatwiseError:
        return None


async def _reach(client: httpx.AsyncClient, host: str) -> str | None:
    """What keeps a host from answering; None where it does, whatever it says."""
    try:
        await client.get(f"{host}/")
    except (httpx.RequestError, httpx.InvalidURL, SeatwiseError) as error:
        return f"{host}: {str(error) or type(error).__name__}."
    return None


async def _mail(settings: Settings) -> Finding:
    if settings.smtp_url is None:
        return Finding("mail", ok=True, detail="SEATWISE_SMTP_URL is unset: mails are recorded, not sent.")
    try:
        await try_server(MailServer.from_url(settings.smtp_url.get_secret_value()))
    except (MailDelayed, ValueError) as error:
        return Finding("mail", ok=False, detail=_naming("SEATWISE_SMTP_URL", error))
    return Finding("mail", ok=True, detail="The mail server takes the login.")


async def _issuer(settings: Settings) -> Finding:
    if settings.oidc_issuer is None:
        return Finding("identity provider", ok=True, detail="SEATWISE_OIDC_ISSUER is unset: only API keys are known.")
    if await Issuer(settings).reach():
        return Finding("identity provider", ok=True, detail="The issuer's keys are read.")
    return Finding("identity provider", ok=False, detail="The issuer's keys cannot be had. Mend SEATWISE_OIDC_ISSUER.")


Printer = Callable[[str], None]


async def main(settings: Settings, say: Printer) -> bool:
    """Say a line for each check; whether all hold."""
    holds = True
    async for finding in examine(settings):
        say(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check}: {finding.detail}")
        holds = holds and finding.ok
    return holds
