"""What is sent and answered for reports."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from app.api.instance_bodies import FilterAnswer, FilterBody, ScheduleBody
from app.api.resources import Body, Creator, Email, Name, Resource, unset
from app.reports.columns import Dataset, Type
from app.reports.definition import DEFAULT_WINDOW, MOST_COLUMNS, MOST_FILTERS, MOST_SORTS

ATTACHED_BYTES = 5 * 1024 * 1024
MOST_ATTACHED_BYTES = 10 * ATTACHED_BYTES
Key = Annotated[str, Field(min_length=1, max_length=300)]
Columns = Annotated[
    list[Key],
    Field(
        min_length=1,
        max_length=MOST_COLUMNS,
        description="In the order of the rows; `covered_days` follows each `days_active` unless it is asked for.",
        examples=[["name", "email", "application", "days_active", "last_active_at"]],
    ),
]
_SPAN = {
    "type": "object",
    "properties": {"from": {"type": "string", "format": "date"}, "to": {"type": "string", "format": "date"}},
    "required": ["from", "to"],
    "additionalProperties": False,
}
Window = Annotated[
    Any,
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 10, "examples": ["30d"]}, _SPAN]}),
    Field(
        description="A number of days that end with the day of the run, up to 400d, or the dates themselves.",
        examples=["30d"],
    ),
]
Filters = Annotated[list[FilterBody], Field(max_length=MOST_FILTERS, description="All must hold.")]
Sort = Annotated[
    list[Key],
    Field(max_length=MOST_SORTS, description="Columns; with a minus descending. Nulls last.", examples=[["name"]]),
]


class WebhookOutput(Body):
    """Every run goes to this webhook."""

    type: Literal["webhook"]
    webhook_id: UUID


class EmailOutput(Body):
    """Every run goes to these people, as an attachment or, where it is larger, as a signed link."""

    type: Literal["email"]
    to: Annotated[list[Email], Field(min_length=1, max_length=100, examples=[["it-ops@example.com"]])]
    format: Literal["csv", "xlsx"] = "csv"
    max_attachment_bytes: Annotated[int, Field(strict=True, ge=0, le=MOST_ATTACHED_BYTES)] = ATTACHED_BYTES


_OUTPUTS: dict[str, type[Body]] = {"webhook": WebhookOutput, "email": EmailOutput}


def _read(output: object) -> Body:
    """Chosen by `type` here, so that what is wrong with an output is told at its own place."""
    model = _OUTPUTS.get(str(output.get("type"))) if isinstance(output, dict) else None
    if model is None:
        raise ValueError("An output is of type webhook or email.")
    return model.model_validate(output)


Output = Annotated[WebhookOutput | EmailOutput, Field(discriminator="type"), BeforeValidator(_read)]
Outputs = Annotated[list[Output], Field(max_length=20, description="Where runs go beside this API.")]
SCHEDULE = "When it runs by itself; null: only by hand."


class ReportDefinition(Body):
    """A question over accounts, people or applications."""

    dataset: Dataset
    columns: Columns
    window: Window = DEFAULT_WINDOW
    filters: Filters = Field(default_factory=list)
    sort: Sort = Field(default_factory=list)


class ReportPreviewBody(ReportDefinition):
    """A definition; name, schedule and outputs may stand there and do nothing."""

    name: Name | None = None
    schedule: ScheduleBody | None = None
    outputs: Outputs = Field(default_factory=list)


class NewReport(ReportDefinition):
    """A question to be kept."""

    name: Name = Field(examples=["Unused Okta seats"])
    schedule: ScheduleBody | None = Field(default=None, description=SCHEDULE, examples=[{"cron": "0 7 * * 1"}])
    outputs: Outputs = Field(default_factory=list)


class ReportPatch(Body):
    """A merge patch; lists are replaced whole."""

    name: Name = Field(default_factory=unset)
    dataset: Dataset = Field(default_factory=unset)
    columns: Columns = Field(default_factory=unset)
    window: Window = Field(default_factory=unset)
    filters: Filters = Field(default_factory=unset)
    sort: Sort = Field(default_factory=unset)
    schedule: ScheduleBody | None = Field(default=None, description=SCHEDULE)
    outputs: Outputs = Field(default_factory=unset)


class ReportAnswer(Resource):
    """One saved question."""

    name: str = Field(examples=["Unused Okta seats"])
    dataset: Dataset
    columns: list[str] = Field(examples=[["name", "days_active"]])
    window: Window
    filters: list[FilterAnswer]
    sort: list[str]
    schedule: dict[str, str] | None = Field(examples=[{"cron": "0 7 * * 1", "timezone": "America/New_York"}])
    outputs: list[dict[str, Any]] = Field(
        examples=[[{"type": "email", "to": ["it-ops@example.com"], "format": "csv", "max_attachment_bytes": 5242880}]]
    )
    next_run_at: dt.datetime | None = Field(description="Null without a schedule.")
    created_by: Creator


class ColumnAnswer(BaseModel):
    """One column that a report may have."""

    key: str = Field(examples=["days_active:90d"])
    title: str = Field(examples=["Days active, 90 days"])
    type: Type
    operators: list[str] = Field(examples=[["eq", "ne", "gt"]])
    sortable: bool


class ReportPreviewAnswer(BaseModel):
    """The beginning of an answer; nothing of it is stored."""

    columns: list[str] = Field(description="Keys of the rows, in order.", examples=[["name", "usage"]])
    rows: list[dict[str, Any]] = Field(description="At most 50.", examples=[[{"name": "Ada", "usage": "unused"}]])
    total_rows: int
