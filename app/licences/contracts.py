"""Contracts: how many seats were bought for an application, at what price, until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.core.clock import now
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import new_id
from app.licences.currencies import CURRENCIES
from app.models import Application, Contract, Instance


def known(application_id: UUID | None = None) -> Select[Contract]:
    """Contracts of applications that are there; those of an instance that is leaving are not."""
    statement = (
        select(Contract)
        .join(Application, Application.id == Contract.application_id)
        .join(Instance, Instance.id == Application.instance_id)
        .where(Instance.status != "deleting", Instance.leaving.is_(False))
    )
    return statement if application_id is None else statement.where(Contract.application_id == application_id)


def renewing(statement: Select[Contract], today: date, days: int) -> Select[Contract]:
    """Of these, those that renew today or within so many days."""
    return statement.where(Contract.renews_on >= today, Contract.renews_on <= today + timedelta(days=days))


async def create(session: AsyncSession, sent: Mapping[str, Any], *, by: Principal) -> Contract:
    """Keep a contract. `sent` has all members. Raises InvalidInput, Conflict where another's term overlaps."""
    at = now()
    contract = Contract(id=new_id(), created_by=by.as_creator(), created_at=at, updated_at=at, **sent)
    _require_sense(contract)
    await _lock_application(session, contract.application_id)
    await _refuse_overlap(session, contract)
    session.add(contract)
    await session.flush()
    return contract


async def get(session: AsyncSession, contract_id: UUID, *, lock: bool = False) -> Contract:
    """One contract; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    statement = known().where(Contract.id == contract_id)
    found: Contract | None = await session.scalar(statement.with_for_update(of=Contract) if lock else statement)
    if found is None:
        raise NotFound("There is no contract with this id.")
    return found


async def change(session: AsyncSession, contract: Contract, sent: Mapping[str, Any]) -> None:
    """Apply a merge patch. Raises InvalidInput, Conflict where another's term overlaps."""
    await _lock_application(session, contract.application_id)
    with session.no_autoflush:
        for name, value in sent.items():
            setattr(contract, name, value)
        _require_sense(contract)
        await _refuse_overlap(session, contract)
    contract.updated_at = now()
    await session.flush()


async def delete(session: AsyncSession, contract: Contract) -> None:
    await session.delete(contract)
    await session.flush()


def _require_sense(contract: Contract) -> None:
    if contract.currency not in CURRENCIES:
        raise InvalidInput.at("#/currency", "This is no currency of ISO 4217; type a code such as EUR or USD.")
    if contract.renews_on is not None and contract.renews_on <= contract.starts_on:
        raise InvalidInput.at("#/renews_on", "The renewal must come after `starts_on`.")


async def _lock_application(session: AsyncSession, application_id: UUID) -> None:
    """Two contracts of one application are made one after the other. Not FOR UPDATE, which would wait for syncs."""
    statement = (
        select(Application.id)
        .join(Instance, Instance.id == Application.instance_id)
        .where(Application.id == application_id, Instance.status != "deleting", Instance.leaving.is_(False))
        .with_for_update(of=Application, key_share=True)
    )
    if await session.scalar(statement) is None:
        raise InvalidInput.at("#/application_id", "There is no application with this id.")


async def _refuse_overlap(session: AsyncSession, contract: Contract) -> None:
    others = select(Contract).where(
        Contract.application_id == contract.application_id,
        Contract.id != contract.id,
        or_(Contract.renews_on.is_(None), Contract.renews_on > contract.starts_on),
    )
    if contract.renews_on is not None:
        others = others.where(Contract.starts_on < contract.renews_on)
    other = await session.scalar(others.order_by(Contract.starts_on).limit(1))
    if other is not None:
        term = f"from {other.starts_on}" + (f" to {other.renews_on}" if other.renews_on else " without an end")
        raise Conflict(
            f"The contract {other.id} runs {term}, which overlaps. Let it end before by its `renews_on`, or delete it.",
            contracts=[{"id": str(other.id), "starts_on": str(other.starts_on), "renews_on": _text(other.renews_on)}],
        )


def _text(day: date | None) -> str | None:
    return None if day is None else str(day)
