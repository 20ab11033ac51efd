"""Rows for the tests of the books: an instance with an application, people with accounts, days of use and coverage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from app.activity.days import mark
from app.core.clock import days_between, midnight, now, today
from app.core.database import Database
from app.core.ids import new_id


def days_ago(*numbers: int) -> list[date]:
    return [today() - timedelta(days=number) for number in numbers]


@dataclass(frozen=True)
class Books:
    """Writes rows as a sync would leave them."""

    database: Database

    async def instance(
        self, name: str, *, covered: int = 0, owner: str = "it@example.com", status: str = "live"
    ) -> UUID:
        """An instance whose last `covered` dates, today included, are covered."""
        instance_id = new_id()
        async with self.database.pool.acquire() as connection:
            await connection.execute(
                """
                INSERT INTO instances (id, name, connector, sync, mapping, contacts, owner, status, created_by,
                    covered_until, users_read_at)
                VALUES ($1, $2, 'okta', '{}', '[]', '{}', $3, $4, '{}', $5, now())
                """,
                instance_id, name, owner, status, now() if covered else None,
            )  # fmt: skip
            dates = days_between(today() - timedelta(days=covered - 1), today()) if covered else []
            for year, days in mark(dates).items():
                await connection.execute("INSERT INTO coverage_years VALUES ($1, $2, $3)", instance_id, year, days)
        return instance_id

    async def application(self, instance_id: UUID, name: str, **columns: Any) -> UUID:
        row = {"key": f"entry:{name}", "kind": "detected", "vendor_id": f"0oa-{name}", **columns}
        return await self._insert("applications", instance_id=instance_id, name=name, **row)

    async def person(self, name: str, **columns: Any) -> UUID:
        return await self._insert("people", name=name, **{"email": f"{new_id()}@example.com", **columns})

    async def account(
        self,
        application_id: UUID,
        name: str,
        *,
        used: Iterable[date] = (),
        person_id: UUID | None = None,
        **columns: Any,
    ) -> UUID:
        """An account used on the dates given, at nine in the morning."""
        used = sorted(used)
        instance_id = await self.database.pool.fetchval(
            "SELECT instance_id FROM applications WHERE id = $1", application_id
        )
        row = {
            "vendor_id": f"u-{new_id()}", "email": None, "seat": "assigned", "status": "active",
            "last_active_at": midnight(used[-1]) + timedelta(hours=9) if used else None, **columns,
        }  # fmt: skip
        account_id = await self._insert(
            "accounts", application_id=application_id, instance_id=instance_id, name=name,
            person_id=person_id or await self.person(name), **row,
        )  # fmt: skip
        for year, days in mark(used).items():
            await self.database.pool.execute(
                "INSERT INTO activity_years VALUES ($1, $2, $3, $4, $5)",
                application_id, account_id, year, max(day for day in used if day.year == year), days,
            )  # fmt: skip
        return account_id

    async def sync(self, instance_id: UUID, **columns: Any) -> UUID:
        return await self._insert(
            "syncs", instance_id=instance_id, **{"trigger": "manual", "status": "succeeded", **columns}
        )

    async def change(self, sync_id: UUID, **columns: Any) -> None:
        row = {"kind": "people", "object_id": new_id(), "name": "Ada", "action": "created", **columns}
        await self.database.pool.execute(
            "INSERT INTO history (sync_id, kind, object_id, name, action, before, after) VALUES ($1,$2,$3,$4,$5,$6,$7)",
            sync_id, row["kind"], row["object_id"], row["name"], row["action"], row.get("before"), row.get("after"),
        )  # fmt: skip

    async def error(self, sync_id: UUID, vendor_id: str) -> None:
        await self.database.pool.execute(
            "INSERT INTO sync_errors (sync_id, stream, vendor_id, code, detail)"
            " VALUES ($1, 'users', $2, 'no_identity', '-')",
            sync_id, vendor_id,
        )  # fmt: skip

    async def _insert(self, table: str, **columns: Any) -> UUID:
        names, places = ", ".join(columns), ", ".join(f"${n + 2}" for n in range(len(columns)))
        row_id = new_id()
        await self.database.pool.execute(
            f"INSERT INTO {table} (id, {names}) VALUES ($1, {places})", row_id, *columns.values()
        )
        return row_id
