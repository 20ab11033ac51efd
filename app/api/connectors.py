"""What can be connected, and the form that each connector asks for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import Viewer
from app.api.lists import ListOf, Page, list_answer, paging, place_of
from app.api.resources import answer
from app.api.unit_of_work import Route
from app.connectors import registry
from app.connectors.contract import StreamName
from app.connectors.manifest import FieldType, Manifest

router = APIRouter(prefix="/v1/connectors", tags=["Connectors"], route_class=Route)


class _Described(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SchemeAnswer(_Described):
    """One way to authenticate."""

    scheme: str = Field(examples=["oauth2_client_credentials"])
    title: str = Field(examples=["Worker application"])
    secrets_schema: dict[str, Any] = Field(description="JSON Schema of the secrets.")


class SourceFieldAnswer(_Described):
    """One field that the vendor gives of a user."""

    name: str = Field(examples=["email"])
    title: str = Field(examples=["E-mail"])
    description: str
    type: FieldType
    filterable: bool


class PermissionAnswer(_Described):
    """What the vendor must grant, and why."""

    name: str = Field(examples=["Identity Data Admin"])
    reason: str
    accepted: list[str] = Field(description="Other grants that do as well.")


class DefaultMappingRow(_Described):
    source: str = Field(examples=["email"])
    target: str = Field(examples=["email"])


class ConnectorAnswer(BaseModel):
    """A connector as its manifest tells of it."""

    key: str = Field(examples=["pingone"])
    name: str = Field(examples=["PingOne"])
    vendor: str = Field(examples=["Ping Identity"])
    category: Literal["sso", "saas", "directory"]
    auth: list[SchemeAnswer]
    options_schema: dict[str, Any] = Field(
        description="JSON Schema of the connection options; a form can be drawn from it."
    )
    streams: list[StreamName]
    fields: list[SourceFieldAnswer]
    permissions: list[PermissionAnswer]
    setup: list[str] = Field(description="The steps in the vendor's console.")
    default_mapping: list[DefaultMappingRow]
    capabilities: list[str]


def shown(described: Manifest) -> ConnectorAnswer:
    return ConnectorAnswer(
        key=described.key,
        name=described.name,
        vendor=described.vendor,
        category=described.category,
        auth=[
            SchemeAnswer(scheme=scheme.scheme, title=scheme.title, secrets_schema=scheme.as_schema())
            for scheme in described.schemes
        ],
        options_schema=described.options_schema(),
        streams=list(described.streams),
        fields=[SourceFieldAnswer.model_validate(field) for field in described.fields],
        permissions=[PermissionAnswer.model_validate(permission) for permission in described.permissions],
        setup=list(described.setup),
        default_mapping=[DefaultMappingRow.model_validate(row) for row in described.default_mapping],
        capabilities=list(described.capabilities),
    )


@router.get("", operation_id="list_connectors", response_model=ListOf[ConnectorAnswer])
async def list_connectors(
    request: Request, _caller: Viewer, page: Annotated[Page, Depends(paging("name", default="name"))]
) -> Response:
    """All connectors, by name."""
    ordered = sorted(registry.MANIFESTS.values(), key=_place, reverse=page.descending)
    if page.after is not None:
        after = place_of(page.after, str, str)
        ordered = [m for m in ordered if (_place(m) < after) == page.descending and _place(m) != after]
    part = ordered[: page.limit]
    last = _place(part[-1]) if len(ordered) > page.limit else None
    return list_answer(request, page, [shown(m) for m in part], last=last, total=len(registry.MANIFESTS))


def _place(described: Manifest) -> tuple[str, str]:
    return described.name.lower(), described.key


@router.get("/{key}", operation_id="get_connector", response_model=ConnectorAnswer)
async def get_connector(request: Request, _caller: Viewer, key: Annotated[str, Path(examples=["pingone"])]) -> Response:
    """One connector."""
    return answer(request, shown(registry.manifest(key)))
