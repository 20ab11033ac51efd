"""From a vendor's user to the fields of a person and an account, as the instance's mapping says. Pure.

A row is `{"source", "target", "transform", "on", "default"}`; the last three may be left out. What is missing, null or
empty at the source becomes the row's default, else null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from app.connectors.contract import Rejected, User
from app.sync.field_types import Convert
from app.sync.sources import Read, decode_raw, needs_raw, reader
from app.sync.transforms import TRANSFORMS, Transform, UnfitValueError, as_json, as_text, is_empty

UsernameFormat = Literal["email", "username", "local_part"]
Row = Mapping[str, Any]

CREDENTIAL = "connect.credentials"
SYNC_TIME = "connector.sync_time"
TRACKING = (CREDENTIAL, SYNC_TIME)
COLUMNS = ("email", "username", "name", "given_name", "family_name", "role")
COMMON_FIELDS = ("department", "title", "manager", "location")

_AS_LISTED = {"email", "username", "name", "given_name", "family_name"}


class Mapped(NamedTuple):
    """What one user becomes.

    person    email (trimmed, lower case: what ties people), username, name, given_name, family_name, fields.
    account   email (as the vendor writes it), username, name, role, fields.
    errors    values that a field cannot take; the field is null, the record is kept.
    rejected  why the whole record cannot be used (neither e-mail nor username), else None.

    `fields` have the targets department, title, manager and location on both sides, custom ones on their own side.
    """

    person: dict[str, Any]
    account: dict[str, Any]
    errors: list[Rejected]
    rejected: Rejected | None


@dataclass(frozen=True, slots=True)
class _Step:
    target: str
    source: str
    read: Read | None
    transform: Transform | None
    convert: Convert | None
    default: Any


class UserMapping:
    """A mapping made ready: call it with each user.

    create_only  targets that are written when a record is new and never again.
    tracking     targets fed by the service itself, whose change alone is no change.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        username_format: UsernameFormat = "email",
        types: Mapping[str, Convert] | None = None,
    ) -> None:
        """`types` are the converters of custom fields, by target (`account.cost_center`)."""
        self.create_only = frozenset(row["target"] for row in rows if row.get("on") == "create_only")
        self.tracking = frozenset(row["target"] for row in rows if row["source"] in TRACKING)
        self._username_format = username_format
        self._needs_raw = any(needs_raw(row["source"]) for row in rows)
        self._steps = [_step(row, (types or {}).get(row["target"])) for row in rows]
        self._as_listed = _is_as_listed(rows)

    def keys(self, targets: Iterable[str]) -> tuple[list[str], list[str]]:
        """Which members of an account's and of a person's `fields` these targets are."""
        account, person = _fields(dict.fromkeys(targets))
        return sorted(account), sorted(person)

    def __call__(self, user: User, *, credential: str | None, sync_time: datetime) -> Mapped:
        """Map one user; `credential` is the name of the one in use, `sync_time` the sync's beginning, aware."""
        if self._as_listed:
            return self._finish(user, user, user.role, {}, {}, [])
        values, errors = self._values(user, credential, sync_time)
        account_fields, person_fields = _fields(values)
        # A vendor's own role stands unless the mapping names another source for it.
        role = values.get("role", user.role)
        return self._finish(user, _Columns(*map(values.get, COLUMNS[:5])), role, account_fields, person_fields, errors)

    def _values(self, user: User, credential: str | None, sync_time: datetime) -> tuple[dict[str, Any], list[Rejected]]:
        raw = decode_raw(user) if self._needs_raw else None
        values: dict[str, Any] = {}
        errors: list[Rejected] = []
        for step in self._steps:
            if step.read is not None:
                value = step.read(user, raw)
            else:
                value = credential if step.source == CREDENTIAL else _rfc3339(sync_time)
            try:
                values[step.target] = _convert(step, value)
            except UnfitValueError as problem:
                values[step.target] = None
                detail = f"{step.source} cannot fill {step.target}: {problem}."
                errors.append(Rejected(user.vendor_id, "bad_value", detail))
        return values, errors

    def _finish(
        self,
        user: User,
        columns: User | _Columns,
        role: str | None,
        account_fields: dict[str, Any],
        person_fields: dict[str, Any],
        errors: list[Rejected],
    ) -> Mapped:
        email, username = columns.email, columns.username
        given, family = columns.given_name, columns.family_name
        name = columns.name or " ".join(part for part in (given, family) if part) or username or email
        person = {
            "email": email.strip().lower() if email else None,
            "username": self._person_username(email, username),
            "name": name,
            "given_name": given,
            "family_name": family,
            "fields": person_fields,
        }
        account = {"email": email, "username": username, "name": name, "role": role, "fields": account_fields}
        rejected = None
        if email is None and username is None:
            rejected = Rejected(
                user.vendor_id, "no_identity", "The record has neither an e-mail address nor a username."
            )
        return Mapped(person, account, errors, rejected)

    def _person_username(self, email: str | None, username: str | None) -> str | None:
        if self._username_format == "username":
            return username or email
        if self._username_format == "local_part" and email:
            return email.strip().rpartition("@")[0] or email.strip()
        return email.strip() if email else username


class _Columns(NamedTuple):
    email: str | None
    username: str | None
    name: str | None
    given_name: str | None
    family_name: str | None


def _is_as_listed(rows: Sequence[Row]) -> bool:
    """Whether the mapping is what connectors propose: each column from the field of its name, nothing more."""
    targets = {row["target"] for row in rows}
    plain = all(
        row["source"] == row["target"] and not row.get("transform") and row.get("default") is None for row in rows
    )
    return plain and targets - {"role"} == _AS_LISTED


def _step(row: Row, convert: Convert | None) -> _Step:
    source, target = row["source"], row["target"]
    read = None if source in TRACKING else reader(source)
    transform = TRANSFORMS[row["transform"]] if row.get("transform") else None
    default = row.get("default")
    if "." not in target and default is not None:
        default = as_text(default)
    return _Step(target, source, read, transform, convert, default)


def _convert(step: _Step, value: Any) -> Any:
    if not is_empty(value) and step.transform is not None:
        value = step.transform(value)
    if is_empty(value):
        value = step.default
    if is_empty(value):
        return step.default
    if step.convert is not None:
        return step.convert(value)
    return as_json(value) if "." in step.target else as_text(value)


def _fields(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the account and of the person."""
    account = {name: values[name] for name in COMMON_FIELDS if name in values}
    person = dict(account)
    for target, value in values.items():
        side, dot, key = target.partition(".")
        if dot:
            (account if side == "account" else person)[key] = value
    return account, person


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
