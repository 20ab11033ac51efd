"""Exemptions: seats that are not to be taken back, whatever their use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.core.clock import now, today
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import new_id
from app.models import Account, Instance, LicenceExemption


def known() -> Select[LicenceExemption]:
    """Exemptions of accounts that are there; those of an instance that is leaving are not."""
    return (
        select(LicenceExemption)
        .join(Account, Account.id == LicenceExemption.account_id)
        .join(Instance, Instance.id == Account.instance_id)
        .where(Instance.status != "deleting", Instance.leaving.is_(False))
    )


async def create(session: AsyncSession, sent: Mapping[str, Any], *, by: Principal) -> LicenceExemption:
    """Spare an account. `sent` has account_id, reason and until. One that has ended makes room.

    Raises InvalidInput, Conflict where the account is spared already.
    """
    account_id, until = sent["account_id"], sent["until"]
    if until is not None and until < today():
        raise InvalidInput.at("#/until", "This date is over. Type today's or a later one, or null for good.")
    account = select(Account.id).join(Instance, Instance.id == Account.instance_id).where(Account.id == account_id)
    if await session.scalar(account.where(Instance.status != "deleting", Instance.leaving.is_(False))) is None:
        raise InvalidInput.at("#/account_id", "There is no account with this id.")
    ended = delete(LicenceExemption).where(LicenceExemption.account_id == account_id, LicenceExemption.until < today())
    await session.execute(ended)
    at = now()
    row = {**sent, "id": new_id(), "created_by": by.as_creator(), "created_at": at, "updated_at": at}
    made: LicenceExemption | None = await session.scalar(
        insert(LicenceExemption).values(row).on_conflict_do_nothing().returning(LicenceExemption)
    )
    if made is None:
        raise await _taken(session, account_id)
    return made


async def get(session: AsyncSession, exemption_id: UUID, *, lock: bool = False) -> LicenceExemption:
    """One exemption; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    statement = known().where(LicenceExemption.id == exemption_id)
    found: LicenceExemption | None = await session.scalar(
        statement.with_for_update(of=LicenceExemption) if lock else statement
    )
    if found is None:
        raise NotFound("There is no exemption with this id.")
    return found


async def remove(session: AsyncSession, exemption: LicenceExemption) -> None:
    await session.delete(exemption)
    await session.flush()


async def _taken(session: AsyncSession, account_id: UUID) -> Conflict:
    found = await session.scalars(select(LicenceExemption).where(LicenceExemption.account_id == account_id))
    other = found.one()
    until = "for good" if other.until is None else f"until {other.until}"
    return Conflict(
        f"The account is exempt already, {until}. Delete the exemption {other.id} first.", exemption_id=str(other.id)
    )
