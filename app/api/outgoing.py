"""The messages that this service sends, for its description: `webhooks` of OpenAPI 3.1. Nothing here sends."""

from __future__ import annotations

from datetime import date, datetime
from inspect import cleandoc
from typing import Any, Literal, Union
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import models_json_schema

_REFERENCE = "#/components/schemas/{model}"
_ID = "0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77"
_AT = "2026-11-03T09:30:00Z"
_PLAIN: dict[str, Any] = {"string": "…", "integer": 1, "boolean": False, "null": None}


class Data(BaseModel):
    """What a message is about. Later versions may add members."""


class OfInstance(Data):
    instance_id: UUID
    instance: str = Field(description="The instance's name.", examples=["PingOne production"])


class InstanceDeleted(OfInstance):
    """An instance is gone, with everything of its accounts."""


class OfSync(OfInstance):
    sync_id: UUID


class InstanceLaunched(OfSync):
    """An instance was launched; `sync_id` is its first sync."""


class InstanceReactivated(OfSync):
    """An instance is live again; `sync_id` is the sync that catches up."""


class InstanceInactivated(OfInstance):
    """An instance does not sync any more."""

    reason: str = Field(description="Its `inactive_reason`.", examples=["token_revoked"])
    sync_id: UUID | None = Field(default=None, description="The sync whose failure stopped it, if one did.")
    detail: str | None = Field(default=None, description="The reason in plain words.")


class SyncSucceeded(OfSync):
    """A sync has succeeded."""


class SyncRecovered(OfSync):
    """A sync has succeeded after one that had failed."""


class SyncFailed(OfSync):
    """A sync has failed."""

    reason: str = Field(examples=["The vendor refuses the credential."])
    code: str = Field(examples=["credential_refused"])


class ApplicationDetected(OfSync):
    """An application was seen for the first time."""

    application_id: UUID
    application: str = Field(examples=["Ledgerly"])


class ListedPerson(BaseModel):
    """A person, as the books have them."""

    person_id: UUID
    name: str = Field(examples=["Ada Lovelace"])
    email: str | None = Field(examples=["ada@example.com"])
    username: str | None
    status: Literal["active", "inactive"] | None
    role: str | None
    owner: str | None
    restrict_access: bool | None


class ListedAccount(BaseModel):
    """A seat, as the books have it."""

    account_id: UUID
    person_id: UUID | None
    application_id: UUID | None
    application: str | None = Field(examples=["Ledgerly"])
    vendor_id: str | None = Field(examples=["00u1a2b3c4"])
    name: str = Field(examples=["Ada Lovelace"])
    email: str | None = Field(examples=["ada@example.com"])
    username: str | None
    role: str | None
    seat: Literal["assigned", "entitled", "unknown", "none"] | None
    status: Literal["active", "inactive"] | None


class Listing(OfSync):
    page: int = Field(description="From 1; the pages of one sync and type come in order.", examples=[1])
    pages: int = Field(description="As many as `max_message_bytes` asks for.", examples=[1])
    total: int = Field(description="Entries on all pages.", examples=[1])


class ListedPeople(Listing):
    """People whom a sync has created, or deactivated."""

    people: list[ListedPerson]


class ListedAccounts(Listing):
    """Accounts that a sync has created, deactivated, or brought back."""

    accounts: list[ListedAccount]


class CredentialExpiring(Data):
    """A credential, or the bearer token that a webhook was given, ends within 7 days, or has ended."""

    credential_id: UUID | None = Field(default=None, examples=[_ID])
    credential: str | None = Field(default=None, description="The credential's name.", examples=["PingOne production"])
    webhook_id: UUID | None = None
    webhook: str | None = Field(default=None, description="The webhook's name.")
    expires_at: datetime
    reason: str = Field(examples=["expires at 2026-11-10 00:00 UTC"])


class PlanHeld(OfSync):
    """A sync would have taken away too much to believe: look at the plan, then apply or discard it."""

    plan_id: UUID
    reason: Literal["limit", "zero_rows"]


class ReportWindow(BaseModel):
    """Dates, both included."""

    model_config = ConfigDict(populate_by_name=True)

    first: date = Field(alias="from", examples=["2026-10-05"])
    last: date = Field(alias="to", examples=["2026-11-03"])


class OfReport(Data):
    report_id: UUID
    report: str = Field(description="The report's name.", examples=["Unused licences"])
    run_id: UUID


class ReportPage(OfReport):
    """One page of a run, for a webhook that is an output of the report."""

    window: ReportWindow
    columns: list[str] = Field(description="Keys of each row, in order.", examples=[["application", "email"]])
    page: int = Field(examples=[1])
    pages: int = Field(examples=[1])
    total_rows: int = Field(examples=[1])
    rows: list[dict[str, Any]] = Field(examples=[[{"application": "Ledgerly", "email": "ada@example.com"}]])


class ReportLink(OfReport):
    """A run, for an output with `delivery: "link"`. The URL needs no key; it answers 403 once expired or altered."""

    window: ReportWindow
    columns: list[str] = Field(examples=[["application", "email"]])
    total_rows: int = Field(examples=[1])
    url: str = Field(
        examples=["https://seatwise.example.com/links/report-runs/0199…?format=ndjson&expires=…&signature=…"]
    )
    expires_at: datetime
    format: Literal["ndjson"]


class ReportCompleted(OfReport):
    """A run has succeeded, for a webhook that subscribes. The URL needs a key."""

    window: ReportWindow
    total_rows: int = Field(examples=[1])
    digest: str | None = Field(default=None, description="Of the rows as NDJSON.", examples=["sha256:…"])
    url: str = Field(examples=["https://seatwise.example.com/v1/report-runs/0199…/rows?format=ndjson"])


class ReportFailed(OfReport):
    """A run has failed."""

    reason: str = Field(examples=["There is no column `emial`."])


class WebhookDisabled(Data):
    """A webhook is sent nothing any more: it answered 410 (`gone`), or failed for too long (`failing`)."""

    webhook_id: UUID
    webhook: str = Field(description="The webhook's name.", examples=["Ops"])
    reason: str = Field(examples=["gone"])


class WebhookTest(Data):
    """A test that was asked for; it is no event and nothing follows from it."""

    webhook_id: UUID
    webhook: str = Field(examples=["Ops"])
    test: Literal[True]


DATA: dict[str, tuple[type[Data], ...]] = {
    "instance.launched": (InstanceLaunched,),
    "instance.inactivated": (InstanceInactivated,),
    "instance.reactivated": (InstanceReactivated,),
    "instance.deleted": (InstanceDeleted,),
    "sync.succeeded": (SyncSucceeded,),
    "sync.failed": (SyncFailed,),
    "sync.recovered": (SyncRecovered,),
    "application.detected": (ApplicationDetected,),
    "person.created": (ListedPeople,),
    "person.deactivated": (ListedPeople,),
    "account.created": (ListedAccounts,),
    "account.deactivated": (ListedAccounts,),
    "account.reactivated": (ListedAccounts,),
    "credential.expiring": (CredentialExpiring,),
    "plan.held": (PlanHeld,),
    "report.completed": (ReportPage, ReportLink, ReportCompleted),
    "report.failed": (ReportFailed,),
    "webhook.disabled": (WebhookDisabled,),
    "webhook.test": (WebhookTest,),
}
"""What `data` of each type of message may be: every event, and the test."""

_HEADERS = {
    "webhook-id": ("Names the message, the same at each attempt and when it is sent again.", _ID),
    "webhook-timestamp": ("When this attempt was made, in seconds since 1970.", "1793698200"),
    "webhook-signature": (
        "After Standard Webhooks: `v1,` and the HMAC-SHA256 of `<id>.<timestamp>.<body>`, for each valid secret.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}
_ANSWERS = {
    "2XX": "Taken. From a workflow of SailPoint only with a `workflowExecutionId`.",
    "410": "Wants no further message: the webhook is disabled.",
    "3XX": "A failed attempt: redirects are not followed.",
    "4XX": "A failed attempt, made again later; no sooner than `Retry-After` says.",
    "5XX": "A failed attempt, made again later; no sooner than `Retry-After` says.",
}


def describe(document: dict[str, Any]) -> None:
    """Add every message to an OpenAPI document, with the schemas that it needs."""
    bodies = {type_: _bodies(type_, models) for type_, models in DATA.items()}
    models = [(model, "serialization") for pair in bodies.values() for model in pair]
    _, made = models_json_schema(models, ref_template=_REFERENCE)  # type: ignore[arg-type]  # a list of such pairs
    schemas = made["$defs"]
    document["components"]["schemas"].update(schemas)
    document["webhooks"] = {
        type_: {"post": _operation(type_, [model.__name__ for model in pair], schemas)}
        for type_, pair in bodies.items()
    }


def _bodies(type_: str, of: tuple[type[Data], ...]) -> tuple[type[BaseModel], type[BaseModel]]:
    """The body in each of the two formats."""
    name = "".join(word.title() for word in type_.split("."))
    data: Any = of[0] if len(of) == 1 else Union[of]  # noqa: UP007  the members are known only here
    head: Any = {"type": (Literal[type_], ...), "timestamp": (datetime, Field(examples=[_AT]))}
    standard = create_model(f"{name}Message", __doc__="The body in the format `standard`.", **head, data=(data, ...))
    inputs = tuple(
        create_model(
            f"{model.__name__}{name}Input", __base__=model, __doc__=model.__doc__, message_id=(UUID, ...), **head
        )
        for model in of
    )
    given: Any = inputs[0] if len(inputs) == 1 else Union[inputs]  # noqa: UP007  as above
    workflow = create_model(
        f"{name}WorkflowMessage", __doc__="The body in the format `sailpoint_workflow`.", input=(given, ...)
    )
    return standard, workflow


def _operation(type_: str, names: list[str], schemas: dict[str, Any]) -> dict[str, Any]:
    described = [cleandoc(model.__doc__ or "") for model in DATA[type_]]
    return {
        "operationId": f"receive_{type_.replace('.', '_')}",
        "summary": type_,
        "description": described[0] if len(described) == 1 else "\n".join(f"- {each}" for each in described),
        "tags": ["Messages"],
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": description,
                "schema": {"type": "string"},
                "example": example,
            }
            for name, (description, example) in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [{"$ref": _REFERENCE.format(model=name)} for name in names]},
                    "examples": {
                        format_: {"value": example_of(schemas[name], schemas)}
                        for format_, name in zip(("standard", "sailpoint_workflow"), names, strict=True)
                    },
                }
            },
        },
        "responses": {status: {"description": description} for status, description in _ANSWERS.items()},
    }


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value of a JSON schema: its own first example where it has one, else the plainest; optional members only where
    they have one.
    """
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        needed = schema.get("required", [])
        members = schema.get("properties", {}).items()
        return {name: example_of(of, schemas) for name, of in members if name in needed or "examples" in of}
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    return {"uuid": _ID, "date-time": _AT}.get(schema.get("format", ""), _PLAIN[schema["type"]])
