"""The users stream: filtered, mapped, and merged as it comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

import msgspec

from app.connectors.contract import Connector, Page, Rejected, User
from app.core.errors import CredentialRefused, InsufficientPermissions
from app.sync.apply_applications import ensure_integrated
from app.sync.apply_users import apply_users
from app.sync.custom_fields import converters
from app.sync.filters import compile_filters
from app.sync.mapping import UserMapping
from app.sync.reads import Read, Step, advance, open_read
from app.sync.shared_people import share_people
from app.sync.work import Work

# What an index entry of PostgreSQL can hold, with room to spare; longer texts are no names, addresses or ids.
LONGEST_TEXT = 500


async def read_users(work: Work) -> Read:
    """Read every user that is not read yet. Raises VendorError, LeaseLost."""
    work.stream = "users"
    integrated: UUID | None = None
    async with work.writing() as connection:
        read = await open_read(connection, work.scope.sync_id, "users")
        if work.scope.accounts:
            integrated, created = await ensure_integrated(connection, work.scope, work.manifest.name)
            if created:
                work.tally.count("applications", read=1, created=1)
    if read.done:
        return read
    mapping = UserMapping(work.instance.mapping, work.scope.username_format, await converters(work.connection.fetch))
    rows_of = _preparation(work, mapping)
    async with aclosing(work.pages(read, work.connector.users)) as pages:
        async for page in pages:
            await _write(work, read, page, rows_of(page), integrated, mapping)
    if work.tally.progress["users"]["fetched"] == 0:
        await prove_power(work.connector)
    return read


class _Prepared(msgspec.Struct, frozen=True):
    """usable: records that made a row; whoever is listed twice has one row, as listed last."""

    rows: list[tuple[Any, ...]]
    usable: int
    rejected: list[Rejected]
    unfit: list[Rejected]
    filtered: int


def _preparation(work: Work, mapping: UserMapping) -> Callable[[Page[User]], _Prepared]:
    """From a page of users to rows for the books, as the instance's filters and mapping say."""
    settings = work.instance.sync
    types = {field.name: field.type for field in work.manifest.fields}
    passes = compile_filters(settings["filters"], types) if settings["filters"] else None

    def prepare(page: Page[User]) -> _Prepared:
        rows: dict[str, tuple[Any, ...]] = {}
        rejected, unfit, usable, filtered = list(page.rejected), list[Rejected](), 0, 0
        for user in page.records:
            if passes is not None and not passes(user):
                filtered += 1
                continue
            if len(user.vendor_id) > LONGEST_TEXT:
                rejected.append(Rejected(user.vendor_id[:LONGEST_TEXT], "unreadable_record", "The id is too long."))
                continue
            mapped = mapping(user, credential=work.credential_name, sync_time=work.began_at)
            if mapped.rejected is not None:
                rejected.append(mapped.rejected)
                continue
            unfit.extend(mapped.errors)
            usable += 1
            rows[user.vendor_id] = _row(work, user, mapped.person, mapped.account)
        return _Prepared(list(rows.values()), usable, rejected, unfit, filtered)

    return prepare


def _row(work: Work, user: User, person: dict[str, Any], account: dict[str, Any]) -> tuple[Any, ...]:
    """In the order of apply_users.USER_COLUMNS."""
    return (
        user.vendor_id,
        _short(account["username"]),
        _short(account["email"]),
        _short(account["name"]),
        user.active,
        user.vendor_status,
        account["role"],
        user.metadata,
        account["fields"],
        _short(person["email"]),
        f"{work.scope.instance_id}/{user.vendor_id}",
        _short(person["username"]),
        person["given_name"],
        person["family_name"],
        work.scope.person_role,
        person["fields"],
    )


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT]


async def _write(
    work: Work, read: Read, page: Page[User], prepared: _Prepared, integrated: UUID | None, mapping: UserMapping
) -> None:
    records = len(page.records) + len(page.rejected)
    async with work.writing() as connection:
        await share_people(connection)
        counts = await apply_users(connection, work.scope, read.id, prepared.rows, integrated, mapping)
        await work.list_errors("users", [*prepared.rejected, *prepared.unfit])
        await advance(connection, [Step(read, page.cursor, page.last, counts.seen)])
        filtered = prepared.filtered + counts.refused
        work.tally.fetched("users", records, page.expected)
        work.tally.count(
            "people",
            read=records,
            created=counts.people_created,
            updated=counts.people_updated,
            filtered=filtered,
            rejected=len(prepared.rejected),
        )
        if integrated is not None:
            work.tally.count(
                "accounts",
                read=prepared.usable - counts.refused,
                created=counts.seats.created,
                updated=counts.seats.updated,
                reactivated=counts.seats.reactivated,
            )
        if page.last:
            work.tally.done("users")


async def prove_power(connector: Connector) -> None:
    """Nobody at all: some vendors answer so to a credential that has lost its role. Believe it only with proof.

    Raises CredentialRefused, InsufficientPermissions.
    """
    check = await connector.check()
    if not check.ok:
        kind = CredentialRefused if check.code == "credential_refused" else InsufficientPermissions
        missing = f" Missing: {', '.join(check.missing)}." if check.missing else ""
        raise kind(
            f"The vendor lists nobody, and the credential lacks what it takes to see them. {check.detail}{missing}"
        )
