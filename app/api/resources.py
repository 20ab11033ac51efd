"""What request and answer bodies are made of, and how one resource is answered: ETag, 304, 412."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import to_json

from app.core import mail_addresses
from app.core.errors import StalePrecondition

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _as_rfc3339(value: object) -> object:
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        return value.replace(" ", "T")
    if isinstance(value, datetime):
        return value
    raise ValueError("This is a time such as 2026-11-03T09:30:00Z.")


def _as_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("This is a time between the years 1 and 9999.") from error


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_as_rfc3339),
    AfterValidator(_as_utc),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2030-01-31T09:30:00Z"]}),
]
"""A time of RFC 3339 as input, made UTC."""


_EDGE = r"[^\s\x00-\x1f\x7f-\xa0]"
_INNER = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
Name = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=f"^{_EDGE}({_INNER}*{_EDGE})?$", examples=["PingOne production"]),
]
"""A name that people give: one line, no space at its ends."""

Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
"""A text without further meaning."""

Email = Annotated[
    str,
    Field(
        min_length=3, max_length=mail_addresses.LONGEST, pattern=mail_addresses.PATTERN, examples=["ada@example.com"]
    ),
]


def unset() -> Any:
    """Stands for a member of a merge patch that was not sent; read patches with `sent()` only."""
    return None


class Body(BaseModel):
    """A request body: a member that it does not know is refused."""

    model_config = ConfigDict(extra="forbid")

    def sent(self) -> dict[str, Any]:
        """Only what the caller sent, as Python values: the merge patch itself."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Creator(BaseModel):
    """Who made a resource."""

    id: UUID | None
    name: str
    email: str | None


class Resource(BaseModel):
    """Members that every resource has. Made from a row: `Answer.model_validate(row)`."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID = Field(examples=["0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77"])
    created_at: datetime = Field(examples=["2026-11-03T09:30:00Z"])
    updated_at: datetime = Field(examples=["2026-11-03T09:30:00Z"])


Content = BaseModel | Mapping[str, Any] | bytes
"""An answer's body: a model, plain JSON values, or JSON that is already written."""


def as_json(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, BaseModel):
        return content.__pydantic_serializer__.to_json(content)
    return to_json(content)


def etag_of(content: Content) -> str:
    """A strong ETag that follows from the content alone, so that every replica gives the same."""
    return f'"{urlsafe_b64encode(sha256(as_json(content)).digest()[:16]).decode().rstrip("=")}"'


def answer(
    request: Request,
    content: Content,
    status: int = 200,
    *,
    location: str | None = None,
    etag: str | None = None,
) -> Response:
    """Answer one resource with its ETag; 304 without a body where a GET's If-None-Match names it.

    location  path of what was created or is to be watched.
    etag      where the answer shows more than the resource itself (a key shown once): `etag_of` the resource.
    """
    body = as_json(content)
    headers = {"ETag": etag or etag_of(body)}
    if request.method == "GET" and _names(request.headers.getlist("if-none-match"), headers["ETag"], weak=True):
        return Response(status_code=304, headers=headers)
    if location is not None:
        headers["Location"] = location
    return Response(body, status, headers, media_type="application/json")


def require_match(request: Request, content: Content) -> None:
    """Refuse the change when If-Match names another state than `content`, the resource as GET shows it now.

    Read the row FOR UPDATE before, so that two changes cannot both match. Raises StalePrecondition.
    """
    wanted = request.headers.getlist("if-match")
    if wanted and not _names(wanted, etag_of(content), weak=False):
        raise StalePrecondition(
            "This changed since you read it. Read it again, then send the change with its new ETag."
        )


def _names(headers: list[str], etag: str, *, weak: bool) -> bool:
    """Whether If-Match / If-None-Match names the ETag (RFC 9110 section 13.1; weak comparison for If-None-Match)."""
    tags = [tag.strip() for tag in ",".join(headers).split(",") if tag.strip()]
    if weak:
        tags = [tag.removeprefix("W/") for tag in tags]
    return "*" in tags or etag in tags
