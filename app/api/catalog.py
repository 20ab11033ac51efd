"""The software catalogue: well-known applications that detected and integrated ones are tied to."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, Field
from sqlalchemy import func, or_, select

from app import catalogue
from app.access.audit import audit
from app.api.deps import Admin, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Name, Resource, answer, require_match, unset
from app.api.unit_of_work import Route
from app.models import CatalogEntry

router = APIRouter(prefix="/v1/catalog", tags=["Catalogue"], route_class=Route)

BY_NAME = func.lower(CatalogEntry.name).collate("C")


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$", examples=["salesforce"])]
Domain = Annotated[
    str,
    Field(
        max_length=253, pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$", examples=["salesforce.com"]
    ),
]
Definition = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\x00]+$", examples=["salesforce"])]
Domains = Annotated[list[Domain], Field(max_length=50), AfterValidator(_once)]
Definitions = Annotated[list[Definition], Field(max_length=50), AfterValidator(_once)]


class NewCatalogEntry(Body):
    """A well-known application."""

    key: Key
    name: Name = Field(examples=["Salesforce"])
    vendor: Name | None = Field(default=None, examples=["Salesforce"])
    category: Name | None = Field(default=None, examples=["CRM"])
    domains: Domains = Field(default_factory=list, description="In lower case; their subdomains belong to them.")
    definitions: Definitions = Field(default_factory=list, description="Okta's keys of the application.")


class CatalogPatch(Body):
    """A merge patch: null takes vendor or category away."""

    key: Key = Field(default_factory=unset)
    name: Name = Field(default_factory=unset)
    vendor: Name | None = None
    category: Name | None = None
    domains: Domains = Field(default_factory=unset)
    definitions: Definitions = Field(default_factory=unset)


class CatalogAnswer(Resource):
    """One well-known application."""

    key: str = Field(examples=["salesforce"])
    name: str = Field(examples=["Salesforce"])
    vendor: str | None = Field(examples=["Salesforce"])
    category: str | None = Field(examples=["CRM"])
    domains: list[str] = Field(examples=[["salesforce.com"]])
    definitions: list[str] = Field(examples=[["salesforce"]])


def shown(entry: CatalogEntry) -> CatalogAnswer:
    return CatalogAnswer.model_validate(entry)


@router.get("", operation_id="list_catalog", response_model=ListOf[CatalogAnswer])
async def list_catalog(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging("name"))],
    category: str | None = None,
    q: Annotated[str | None, Query(min_length=1, max_length=200, description="Beginning of a name or key.")] = None,
) -> Response:
    """Well-known applications, newest first."""
    statement = select(CatalogEntry)
    if category is not None:
        statement = statement.where(CatalogEntry.category == category)
    if q is not None:
        begins = (func.lower(c).startswith(q.lower(), autoescape=True) for c in (CatalogEntry.name, CatalogEntry.key))
        statement = statement.where(or_(*begins))
    found = await select_page(session, statement, page, identity=CatalogEntry.id, sorts={"name": BY_NAME})
    return list_answer(request, page, [shown(entry) for entry in found.items], last=found.last, total=found.total)


@router.post(
    "", operation_id="create_catalog_entry", status_code=201, response_model=CatalogAnswer, responses=problems(409)
)
async def create_catalog_entry(request: Request, caller: Admin, session: Session, body: NewCatalogEntry) -> Response:
    """Add a well-known application; applications are tied to it at their next sync."""
    entry = shown(await catalogue.create(session, body.model_dump()))
    audit(session, caller, request, "catalog_entry.created", "catalog_entry", entry.id, entry.name, None, _told(entry))
    return answer(request, entry, 201, location=f"{router.prefix}/{entry.id}")


@router.get("/{entry_id}", operation_id="get_catalog_entry", response_model=CatalogAnswer)
async def get_catalog_entry(request: Request, _caller: Viewer, session: Session, entry_id: UUID) -> Response:
    """One well-known application."""
    return answer(request, shown(await catalogue.get(session, entry_id)))


@router.patch("/{entry_id}", operation_id="update_catalog_entry", response_model=CatalogAnswer, responses=problems(409))
async def update_catalog_entry(
    request: Request, caller: Admin, session: Session, entry_id: UUID, body: CatalogPatch
) -> Response:
    """Change a well-known application by a JSON merge patch."""
    entry = await catalogue.get(session, entry_id, lock=True)
    before = shown(entry)
    require_match(request, before)
    await catalogue.change(session, entry, body.sent())
    after = shown(entry)
    what = ("catalog_entry.updated", "catalog_entry", entry.id, entry.name)
    audit(session, caller, request, *what, _told(before), _told(after))
    return answer(request, after)


@router.delete("/{entry_id}", operation_id="delete_catalog_entry", status_code=204, response_class=Response)
async def delete_catalog_entry(request: Request, caller: Admin, session: Session, entry_id: UUID) -> Response:
    """Delete a well-known application; what was tied to it is tied to none."""
    entry = await catalogue.get(session, entry_id, lock=True)
    before = shown(entry)
    require_match(request, before)
    await catalogue.remove(session, entry)
    audit(
        session, caller, request, "catalog_entry.deleted", "catalog_entry", before.id, before.name, _told(before), None
    )
    return Response(status_code=204)


def _told(entry: CatalogAnswer) -> dict[str, object]:
    """For the audit, which masks whatever is called `key`."""
    told = entry.model_dump()
    return {**told, "catalog_key": told.pop("key")}
