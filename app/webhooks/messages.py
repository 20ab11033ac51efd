"""The bodies of messages, in both formats. Pure: of the same things the same bytes, at each attempt.

`standard`             {"type", "timestamp", "data"}
`sailpoint_workflow`   {"input": {…data…, "type", "timestamp", "message_id"}}; the last is the `webhook-id`, by which a
                       workflow can tell that it has run for this message before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

# The members of an event's data that may grow with the number of records.
LISTS = ("people", "accounts")
# No list has more, so a page's number takes no more room than this one.
MOST_PAGES = 9_999_999


def message(format_: str, message_id: UUID, type_: str, at: datetime, data: Mapping[str, Any] | bytes) -> bytes:
    """The whole body.

    data   JSON values, or the bytes of a JSON object.
    """
    raw = data if isinstance(data, bytes) else msgspec.json.encode(data)
    head = {"type": type_, "timestamp": at.astimezone(UTC)}
    if format_ == "sailpoint_workflow":
        return b'{"input":' + joined(raw, {**head, "message_id": message_id}) + b"}"
    return msgspec.json.encode({**head, "data": msgspec.Raw(raw)})


def joined(data: bytes, more: Mapping[str, Any]) -> bytes:
    """A JSON object with further members at its end."""
    begun = data.rstrip()[:-1].rstrip()
    return begun + (b"" if begun.endswith(b"{") else b",") + msgspec.json.encode(more)[1:]


@dataclass(frozen=True, slots=True)
class Run:
    """What messages say of a report run. finished_at has whole seconds, so that all its messages are of known size."""

    id: UUID
    report_id: UUID
    report: str
    window: Any
    columns: Sequence[str]
    total_rows: int
    finished_at: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Run:
        return cls(
            row["id"],
            row["report_id"],
            row["report"],
            row["window"],
            row["columns"],
            row["total_rows"],
            row["finished_at"].replace(microsecond=0),
        )

    def _head(self) -> dict[str, Any]:
        return {
            "report": self.report,
            "report_id": self.report_id,
            "run_id": self.id,
            "window": self.window,
            "columns": self.columns,
        }

    def page(self, format_: str, message_id: UUID, page: int, pages: int, rows: Sequence[bytes]) -> bytes:
        """The message with one page; each row is a JSON object."""
        head = {**self._head(), "page": page, "pages": pages, "total_rows": self.total_rows}
        data = joined(msgspec.json.encode(head), {"rows": []})[:-2] + b",".join(rows) + b"]}"
        return message(format_, message_id, "report.completed", self.finished_at, data)

    def link(self, format_: str, message_id: UUID, url: str, until: datetime) -> bytes:
        """The message with a link to the rows in place of the rows."""
        data = {
            **self._head(),
            "total_rows": self.total_rows,
            "url": url,
            "expires_at": until.astimezone(UTC),
            "format": "ndjson",
        }
        return message(format_, message_id, "report.completed", self.finished_at, data)

    def room(self, format_: str, max_bytes: int) -> int:
        """Bytes that are left for the rows in a page's message; may be negative."""
        most = max(self.total_rows, 1)
        return max_bytes - len(self.page(format_, self.id, most, most, ()))


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event whose data has a list, so that it can be told in pages of another size."""

    type: str
    at: datetime
    data: Mapping[str, msgspec.Raw]
    list_name: str
    items: Sequence[msgspec.Raw]

    @classmethod
    def of(cls, type_: str, at: datetime, data: bytes) -> ListedEvent | None:
        """None where its data has no list."""
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        for name in LISTS:
            if bytes(members.get(name, msgspec.Raw(b""))).startswith(b"["):
                return cls(type_, at, members, name, msgspec.json.decode(members[name], type=list[msgspec.Raw]))
        return None

    def lengths(self) -> list[int]:
        return [len(bytes(item)) for item in self.items]

    def page(self, format_: str, message_id: UUID, page: int, pages: int, first: int, rows: int | None) -> bytes:
        """The message with the list's items from `first` on, `rows` of them or all, as one of a webhook's pages."""
        last = len(self.items) if rows is None else first + rows
        items = msgspec.Raw(b"[" + b",".join(bytes(item) for item in self.items[first:last]) + b"]")
        data = {**self.data, "page": page, "pages": pages, self.list_name: items}
        return message(format_, message_id, self.type, self.at, msgspec.json.encode(data))

    def room(self, format_: str, max_bytes: int) -> int:
        """Bytes that are left for the items in a page's message; may be negative."""
        return max_bytes - len(self.page(format_, UUID(int=0), MOST_PAGES, MOST_PAGES, 0, 0))
