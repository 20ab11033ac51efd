"""What Okta's query strings mean, and its errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.demo.vendors.people import mix
from app.demo.vendors.roster import Record
from app.demo.vendors.signons import Event
from app.demo.vendors.times import to_ms
from app.demo.vendors.vendor import Refusal, open_cursor

_ERRORS = {
    400: ("E0000001", "Api validation failed: RequestParams"),
    401: ("E0000011", "Invalid token provided"),
    403: ("E0000006", "You do not have permission to perform the requested action"),
    404: ("E0000007", "Not found: Resource not found"),
    405: ("E0000022", "The endpoint does not support the provided HTTP method"),
    429: ("E0000047", "API call exceeded rate limit due to too many requests."),
}
_CLAUSE = re.compile(r'\s*([\w.]+)\s+(eq|gt|ge|lt|le|sw)\s+"([^"]*)"\s*', re.IGNORECASE)
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda have, want: have == want,
    "sw": lambda have, want: have.startswith(want),
    "gt": lambda have, want: have > want,
    "ge": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "le": lambda have, want: have <= want,
}


def okta_error(status: int, code: str | None = None, summary: str | None = None, *causes: str) -> Refusal:
    known = _ERRORS.get(status, ("E0000009", "Internal Server Error"))
    body = {
        "errorCode": code or known[0],
        "errorSummary": summary or known[1],
        "errorLink": code or known[0],
        "errorId": f"oae{mix(status, to_ms(datetime.now(UTC))):016x}",
        "errorCauses": [{"errorSummary": cause} for cause in causes],
    }
    return Refusal(status, body)


def bucket_of(path: str) -> str:
    """The quota that a path counts in: users, apps, logs, oauth or other."""
    if path.startswith("/oauth2/"):
        return "oauth"
    first = path.removeprefix("/api/v1/").split("/", 1)[0]
    return first if first in {"users", "apps", "logs"} else "other"


def clauses(expression: str) -> list[tuple[str, str, str]]:
    """(field, operator, value) of terms joined by `and`. Raises a 400 where one cannot be read."""
    found = []
    for part in re.split(r"\s+and\s+", expression, flags=re.IGNORECASE):
        match = _CLAUSE.fullmatch(part)
        if match is None:
            raise okta_error(400, "E0000031", "Invalid search criteria.", part)
        field, op, value = match.groups()
        found.append((field, op.lower(), value))
    return found


def member(record: Record, field: str) -> Any:
    """The member at a dotted path, None where there is none."""
    value: Any = record
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def holds(have: Any, op: str, want: str) -> bool:
    return isinstance(have, str) and _COMPARE[op](have, want)


def app_fits(app: Record, expression: str | None, start: str | None) -> bool:
    """Whether an application meets a `filter` and the `q` that its name or label has to begin with."""
    if expression and not all(holds(member(app, field), op, value) for field, op, value in clauses(expression)):
        return False
    return not start or any(app[name].lower().startswith(start.lower()) for name in ("name", "label"))


def event_filter(expression: str | None, app_of: Callable[[Event], str]) -> Callable[[Event], bool]:
    """The events that a `filter` of the System Log lets through; it may name eventType and target.id."""
    terms = clauses(expression) if expression else []
    for field, op, _ in terms:
        if field not in {"eventType", "target.id", "outcome.result"} or op != "eq":
            raise okta_error(400, "E0000031", "Invalid filter.", f"{field} {op} is not simulated here.")

    def fits(event: Event) -> bool:
        have = {
            "eventType": "user.session.start" if event.kind == "other" else "user.authentication.sso",
            "target.id": None if event.kind in {"other", "no_target"} else app_of(event),
            "outcome.result": "FAILURE" if event.kind == "failure" else "SUCCESS",
        }
        return all(have[field] == value for field, _, value in terms)

    return fits


def log_position(cursor: str) -> tuple[int, int, int]:
    """What a cursor of the System Log holds: where the query began, and the key of the last event given."""
    try:
        oldest, ms, serial = open_cursor("log", cursor)
    except ValueError:
        raise okta_error(400, "E0000029", "Invalid paging request.", "Invalid cursor.") from None
    return oldest, ms, serial


def parse_time(name: str, text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise okta_error(400, None, None, f"{name}: invalid date.") from None
    return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))
