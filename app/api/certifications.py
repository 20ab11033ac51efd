"""What a reviewer needs to know of an account, and the same as a signed document."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, Field

from app.activity.days import WINDOW_PATTERN, parse_window
from app.api.deps import Books, Runtime, Viewer
from app.api.resources import Body
from app.api.source_mappings import SourceId
from app.api.unit_of_work import Route
from app.certifications.activity import Question, answer_for
from app.certifications.evidence import sign
from app.core.clock import today

router = APIRouter(prefix="/v1/certifications", tags=["Certifications"], route_class=Route)

MOST_ACCOUNTS = 1000
_DEFAULT = ["30d", "60d", "90d"]
_JOSE = "application/jose"


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


AccountName = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$", examples=["41263"])]
WindowWord = Annotated[str, Field(pattern=WINDOW_PATTERN, examples=["90d"])]
Windows = Annotated[list[WindowWord], Field(min_length=1, max_length=10), AfterValidator(_once)]


class ActivityQuestion(Body):
    """Accounts of one source, each by native identity or e-mail."""

    source_id: SourceId
    accounts: Annotated[list[AccountName], Field(min_length=1, max_length=MOST_ACCOUNTS)]
    windows: Annotated[Windows, Field(description="Numbers of days that end today.")] = _DEFAULT


class WindowAnswer(BaseModel):
    """Use in one window. Where no day of it was observed, `days_active` is null."""

    days_active: int | None = Field(examples=[4])
    covered_days: int = Field(examples=[30])
    usage: Literal["used", "unused", "unknown"]


class ReviewItem(BaseModel):
    """One account under review. Of several mapped applications the best evidence counts: use anywhere is use; without
    any, one application that was not fully observed makes it unknown.
    """

    account: str = Field(description="As it was asked for.", examples=["41263"])
    status: Literal["found", "not_found", "unmapped"]
    windows: dict[str, WindowAnswer]
    first_active_at: dt.datetime | None = Field(description="The first day known of; its time of day is not kept.")
    last_active_at: dt.datetime | None
    integration: Literal["direct", "sso"] | None = Field(
        description="Seen by the application's own integration, or behind a sign-on provider."
    )
    recommendation: Literal["keep", "revoke", "review"] = Field(
        description="By the longest window: used is `keep`, unused is `revoke`, all else is `review`."
    )
    reason: str = Field(examples=["Used on 4 days of the last 90; last on 2026-11-02."])


class CertificationActivityAnswer(BaseModel):
    """What the books say of the accounts, in the order in which they were asked for."""

    source_id: str
    source_name: str | None = Field(description="Null for a source that is not mapped.", examples=["Ledgerly"])
    as_of: dt.datetime
    items: list[ReviewItem]


@router.get("/activity", operation_id="get_certification_activity", response_model=CertificationActivityAnswer)
async def get_certification_activity(
    _caller: Viewer,
    database: Books,
    source_id: Annotated[SourceId, Query()],
    account: Annotated[
        list[AccountName],
        Query(min_length=1, max_length=MOST_ACCOUNTS, description="Native identity or e-mail; may be repeated."),
    ],
    window: Annotated[Windows, Query(description="Number of days that end today; may be repeated.")] = _DEFAULT,
) -> Response:
    """Activity of accounts of a source, for its reviewers."""
    return _as_json(await answer_for(database.pool, _question(source_id, account, window)))


@router.post("/activity", operation_id="ask_certification_activity", response_model=CertificationActivityAnswer)
async def ask_certification_activity(_caller: Viewer, database: Books, body: ActivityQuestion) -> Response:
    """The same for up to 1,000 accounts at once."""
    return _as_json(await answer_for(database.pool, _question(body.source_id, body.accounts, body.windows)))


@router.post(
    "/evidence",
    operation_id="issue_certification_evidence",
    response_class=Response,
    responses={
        200: {
            "description": "A compact JWS (ES256) whose payload is the activity with `issued_at` and `issuer`; its"
            " `kid` names a key of /.well-known/jwks.json.",
            "content": {_JOSE: {"schema": {"type": "string"}, "example": "eyJhbGciOiJFUzI1NiIs…"}},
        }
    },
)
async def issue_certification_evidence(_caller: Viewer, runtime: Runtime, body: ActivityQuestion) -> Response:
    """The same as a signed document, which an auditor verifies offline."""
    found = await answer_for(runtime.database.pool, _question(body.source_id, body.accounts, body.windows))
    return Response(await sign(runtime, found), media_type=_JOSE)


def _question(source_id: str, accounts: list[str], windows: list[str]) -> Question:
    day = today()
    return Question(source_id, accounts, [parse_window(word, day) for word in windows])


def _as_json(found: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json")
