"""Erasure: taking a person out of every table."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.access.audit import audit
from app.activity import people
from app.api.deps import Admin, Books, Runtime, Session, Viewer
from app.api.resources import answer, require_match
from app.api.unit_of_work import Route
from app.core.errors import NotFound
from app.erasure.requests import ErasureState, ask_erasure, erasure_of

router = APIRouter(prefix="/v1/people", tags=["People"], route_class=Route)


class ErasureAnswer(BaseModel):
    """How far an erasure is."""

    person_id: UUID
    status: Literal["erasing", "erased"]
    asked_at: dt.datetime
    erased_at: dt.datetime | None = Field(
        description="When people, accounts and their history forgot the person; null until they did."
    )
    finished_at: dt.datetime | None = Field(
        description="When report runs, plans, events, messages and texts had forgotten them too; null until then."
    )


def _shown(state: ErasureState) -> ErasureAnswer:
    return ErasureAnswer.model_validate(asdict(state))


@router.delete("/{person_id}/data", operation_id="erase_person", status_code=202, response_model=ErasureAnswer)
async def erase_person(
    request: Request, caller: Admin, runtime: Runtime, database: Books, session: Session, person_id: UUID
) -> Response:
    """Take a person's name, e-mail and login out of every table, report runs and messages included.

    The person stays as a row without a name, with their accounts, seats, roles and days of use, so that every figure
    stays. A report run that changes gets a new `digest` and `erased_at`. It goes on in the background; `Location` tells
    how far it is. Erase the person at the vendors first: the next sync brings back whom a vendor still lists.
    """
    person = await people.find_person(database.pool.fetch, person_id)
    if person is None:
        raise NotFound("There is no person with this id.")
    require_match(request, person)
    state = _shown(await ask_erasure(session, runtime.vault, person_id))
    audit(session, caller, request, "person.erased", "person", person_id, None)
    return answer(request, state, 202, location=f"{router.prefix}/{person_id}/erasure")


@router.get("/{person_id}/erasure", operation_id="get_erasure_of_person", response_model=ErasureAnswer)
async def get_erasure_of_person(request: Request, _caller: Viewer, session: Session, person_id: UUID) -> Response:
    """How far a person's erasure is; 404 where nobody has asked for one."""
    return answer(request, _shown(await erasure_of(session, person_id)))
