"""What is sent and answered for instances."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.api.credentials import Options
from app.api.resources import Body, Creator, Email, Name, Resource, Text, unset
from app.connectors import registry
from app.core.schedule import EVERY_PATTERN
from app.sync.filters import OPS
from app.sync.transforms import TRANSFORMS

Environment = Literal["production", "staging", "development"]
Scope = Literal["users", "users_and_accounts"]
Preference = Literal["create_and_update", "create_only", "update_only"]
Detection = Literal["label", "display_name"]
UsernameFormat = Literal["email", "username", "local_part"]
InstanceStatus = Literal["draft", "live", "inactive", "deleting"]
InactiveReason = Literal["token_revoked", "insufficient_permissions", "user"]
Scalar = Annotated[str, Field(max_length=1000)] | bool | int | float
Flag = Annotated[bool, Field(strict=True)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
Days = Annotated[int, Field(strict=True, ge=1, le=400)]
Scans = Annotated[int, Field(strict=True, ge=1, le=100)]


class FilterBody(Body):
    """One condition on a source field; all of an instance's must hold."""

    field: Annotated[str, Field(min_length=1, max_length=500, examples=["status"])]
    op: Literal[OPS]  # type: ignore[valid-type]  # the names stand once, beside what they do
    value: Scalar | Annotated[list[Scalar], Field(max_length=1000)] = Field(examples=["ENABLED"])


class SyncBody(Body):
    """How to sync. What is left out, or null, has its default (in a PATCH: left out stays as it is)."""

    scope: Scope | None = Field(default=None, description="Default users_and_accounts.")
    preference: Preference | None = Field(default=None, description="Default create_and_update.")
    deactivate: Flag | None = Field(default=None, description="Default true.")
    deactivation_limit_percent: Percent | None = Field(default=None, description="Default 20.")
    lookback_days: Days | None = Field(default=None, description="Default 90.")
    detection: Detection | None = Field(default=None, description="Default label.")
    detect_unmanaged: Flag | None = Field(default=None, description="Default false.")
    absence_scans: Scans | None = Field(default=None, description="Default 1.")
    role: Text | None = Field(default=None, description="Role of the people it uploads.", examples=["employee"])
    username_format: UsernameFormat | None = Field(default=None, description="Of people. Default email.")
    restrict_access: Flag | None = Field(default=None, description="Default false.")
    filters: Annotated[list[FilterBody], Field(max_length=50)] | None = Field(default=None, description="Default none.")

    def sent(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class ScheduleBody(Body):
    """`every`, or `cron` with a `timezone` (UTC if absent)."""

    every: Annotated[str, Field(pattern=EVERY_PATTERN, examples=["24h"])] | None = Field(
        default=None, description="`<n>m`, `<n>h` or `<n>d`, from 1m to 31d."
    )
    cron: Annotated[str, Field(min_length=9, max_length=200, examples=["30 2 * * *"])] | None = Field(
        default=None, description="Minute, hour, day, month, weekday (0 and 7 are Sunday)."
    )
    timezone: Annotated[str, Field(min_length=1, max_length=100, examples=["Europe/Berlin"])] | None = Field(
        default=None, description="An IANA name."
    )

    def sent(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


Contacts = Annotated[list[Email], Field(max_length=100, examples=[["it-ops@example.com"]])]
DAILY = "Default once a day; null: only by hand."


class NewInstance(Body):
    """A connection to be drafted."""

    name: Name = Field(examples=["PingOne production"])
    connector: Annotated[str, Field(max_length=100, json_schema_extra={"enum": list(registry.MANIFESTS)})]
    credential_id: UUID | None = None
    environment: Environment | None = None
    options: Options = Field(default_factory=dict)
    sync: SyncBody = Field(default_factory=SyncBody)
    schedule: ScheduleBody | None = Field(default=None, description=DAILY, examples=[{"every": "24h"}])
    contacts: Contacts = Field(default_factory=list)
    owner: Email | None = Field(default=None, examples=["saas-integration@example.com"])


class InstancePatch(Body):
    """A merge patch. `status` takes `live` (the credential is checked first) and `inactive`."""

    name: Name = Field(default_factory=unset)
    credential_id: UUID | None = None
    environment: Environment | None = None
    options: Options = Field(default_factory=unset)
    sync: SyncBody = Field(default_factory=unset)
    schedule: ScheduleBody | None = None
    contacts: Contacts = Field(default_factory=unset)
    owner: Email | None = None
    status: Literal["live", "inactive"] = Field(default_factory=unset)


class FilterAnswer(BaseModel):
    field: str
    op: str
    value: Any


class SyncSettings(BaseModel):
    """How an instance syncs."""

    scope: Scope
    preference: Preference
    deactivate: bool
    deactivation_limit_percent: int
    lookback_days: int
    detection: Detection
    detect_unmanaged: bool
    absence_scans: int
    role: str | None
    username_format: UsernameFormat
    restrict_access: bool
    filters: list[FilterAnswer]


class InstanceAnswer(Resource):
    """One configured connection."""

    name: str = Field(examples=["PingOne production"])
    connector: str = Field(examples=["pingone"])
    credential_id: UUID | None
    environment: Environment | None
    options: Options
    sync: SyncSettings
    schedule: dict[str, str] | None = Field(examples=[{"every": "24h"}])
    contacts: list[str]
    owner: str
    status: InstanceStatus
    inactive_reason: InactiveReason | None
    inactive_detail: str | None = Field(description="The reason in plain words.")
    stale_since: dt.datetime | None = Field(description="Since when its data is not kept up; null while it is.")
    launched_at: dt.datetime | None
    next_sync_at: dt.datetime | None
    last_sync_id: UUID | None
    held_plan_id: UUID | None
    created_by: Creator


class MappingRowBody(Body):
    """From a source field, a tracking source or `raw.<path>` to a target."""

    source: Annotated[str, Field(min_length=1, max_length=500, examples=["email"])]
    target: Annotated[str, Field(min_length=1, max_length=100, examples=["email"])]
    transform: Literal[tuple(TRANSFORMS)] | None = None  # type: ignore[valid-type]  # the names stand once
    on: Literal["create_and_update", "create_only"] = "create_and_update"
    default: Scalar | None = Field(default=None, description="Stands in for what is missing, null or empty.")


class MappingBody(Body):
    """The whole mapping; each target stands once."""

    items: Annotated[list[MappingRowBody], Field(max_length=200)]


class MappingRowAnswer(BaseModel):
    source: str = Field(examples=["email"])
    target: str = Field(examples=["email"])
    transform: str | None
    on: Literal["create_and_update", "create_only"]
    default: Scalar | None


class MappingAnswer(BaseModel):
    """The mapping of an instance."""

    items: list[MappingRowAnswer]
