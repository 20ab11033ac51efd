"""The command line: `serve`, `worker`, `migrate`, `key create`, `vault rotate`, `evidence rotate-key`, `doctor`, …"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Coroutine
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
import uvloop
from pydantic import ValidationError

from app.core.clock import now
from app.core.errors import InvalidInput, SeatwiseError
from app.core.settings import Settings

app = typer.Typer(
    name="seatwise",
    help="Open, self-hosted SaaS management: who has a seat where, and on which days it is used.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="key")
vault = typer.Typer(help="The secrets at rest.", no_args_is_help=True)
app.add_typer(vault, name="vault")
evidence = typer.Typer(help="Signed evidence for reviews.", no_args_is_help=True)
app.add_typer(evidence, name="evidence")

_SPAN = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.", min=0, max=65535)] = 8000,
    workers: Annotated[bool, typer.Option(help="Run scheduler and workers in this process too.")] = True,
) -> None:
    """Run the service: REST API, scheduler and workers in one process."""
    from app.serving import serve as run

    _run(run(_settings(), host=host, port=port, workers=workers))


@app.command()
def worker(
    host: Annotated[str, typer.Option(help="Address to listen on, with --port.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(help="Port for /healthz, /readyz and /metrics; none if absent.", min=0, max=65535),
    ] = None,
) -> None:
    """Run scheduler and workers only, beside `serve --no-workers` on the same database."""
    from app.serving import work

    _run(work(_settings(), host=host, port=port))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema, and end."""
    from app.core.schema import migrate as upgrade
    from app.opening import open_database_of

    async def run() -> None:
        async with open_database_of(_settings()) as database:
            await upgrade(database)

    _run(run())
    typer.echo("The schema is up to date.")


@keys.command("create")
def create(
    name: Annotated[str, typer.Option(help="Whose key it is.")],
    role: Annotated[Literal["ingest", "viewer", "operator", "admin"], typer.Option(help="What it may do.")],
    expires_in: Annotated[str | None, typer.Option(help="Its life, such as 12h or 30d; without end if absent.")] = None,
    instance: Annotated[UUID | None, typer.Option(help="Id of the instance that an ingest key is bound to.")] = None,
) -> None:
    """Make an API key and print it, alone, on standard output."""
    from app.access.keys import create_key, note_made
    from app.models import Instance
    from app.opening import opened

    expires_at = now() + _span(expires_in) if expires_in is not None else None

    async def run() -> str:
        async with opened(_settings()) as runtime, runtime.database.session() as session:
            if instance is not None and await session.get(Instance, instance) is None:
                raise SeatwiseError("There is no instance with this id.")
            made = create_key(session, name=name, role=role, expires_at=expires_at, instance_id=instance)
            return note_made(session, made).secret

    typer.echo(_run(run()))


@vault.command("rotate")
def rotate() -> None:
    """Seal everything anew with the first of SEATWISE_ENCRYPTION_KEYS, while the service runs."""
    from app.access.audit import audit
    from app.access.principal import SYSTEM
    from app.access.resealing import reseal_all
    from app.opening import opened

    async def run() -> bool:
        async with opened(_settings()) as runtime:
            counts = await reseal_all(runtime.database, runtime.vault)
            async with runtime.database.session() as session:
                audit(session, SYSTEM, None, "encryption_key.rotated", "encryption_key", None, None)
        for each in counts:
            typer.echo(f"{each.table}: {each.resealed} sealed anew, {each.current} had the newest key already")
        unreadable = {each.table: each.unreadable for each in counts if each.unreadable}
        for table, number in unreadable.items():
            typer.echo(f"{table}: {number} cannot be opened with any of the keys; remove no key yet", err=True)
        return not unreadable

    if not _run(run()):
        raise typer.Exit(1)


@evidence.command("rotate-key")
def rotate_key() -> None:
    """Sign evidence with a new key from now on; what older keys signed is still verified. Prints its key id."""
    from app.certifications.evidence import renew_key
    from app.opening import opened

    async def run() -> str:
        async with opened(_settings()) as runtime:
            return await renew_key(runtime)

    typer.echo(_run(run()))


@app.command()
def doctor() -> None:
    """Look at configuration, database, keys, clock, mail and outbound calls; exit status 0 only if all is well."""
    from app.doctor import main as look

    if not _run(look(_settings(), typer.echo)):
        raise typer.Exit(1)


@app.command()
def sync(
    instance: Annotated[str, typer.Argument(help="The instance's name or id.")],
    server: Annotated[
        str, typer.Option(envvar="SEATWISE_SERVER", help="URL of the service.")
    ] = "http://127.0.0.1:8000",
    key: Annotated[
        str, typer.Option(envvar=["SEATWISE_KEY", "SEATWISE_ADMIN_KEY"], help="API key of an operator.")
    ] = "",
) -> None:
    """Sync an instance of a running service and watch it."""
    from app.console.sync import main as watch

    raise typer.Exit(watch(instance, server, key))


@app.command()
def demo(keep: Annotated[bool, typer.Option(help="Stay up afterwards, until Ctrl-C.")] = False) -> None:
    """Three simulated vendors, synced and answered for, on a database of their own."""
    from app.demo.run import main as run

    raise typer.Exit(run(keep))


def main() -> None:
    """Entry of the `seatwise` command. Expected faults are one line on standard error and exit status 1."""
    try:
        app()
    except InvalidInput as error:
        print(f"seatwise: {' '.join(each.detail for each in error.errors)}", file=sys.stderr)
        sys.exit(1)
    except SeatwiseError as error:
        print(f"seatwise: {error.detail}", file=sys.stderr)
        sys.exit(1)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"SEATWISE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise SeatwiseError("the settings cannot be used.\n  " + "\n  ".join(lines)) from None


def _span(word: str) -> timedelta:
    match = _SPAN.fullmatch(word)
    if match is None:
        raise typer.BadParameter(f"{word!r} is no span of time; type 12h or 30d.", param_hint="--expires-in")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


if __name__ == "__main__":
    main()
