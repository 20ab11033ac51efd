"""What went wrong with a call of the API, in words for a terminal."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from app.core.errors import SeatwiseError


class ServiceUnreachable(SeatwiseError):
    """Nobody answers at the URL, or the answers do not come from Seatwise."""


class ApiProblem(SeatwiseError):
    """The service refused a call.

    members  those of the problem (RFC 9457), extensions such as `sync_id` included.
    """

    def __init__(self, status: int, members: dict[str, Any]) -> None:
        super().__init__(_words(status, members))
        self.status = status
        self.members = members


def problem_of(response: httpx.Response) -> SeatwiseError:
    """The error that an answer stands for; its body has been read."""
    try:
        members = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        members = {}
    if "title" not in members:
        return ServiceUnreachable(
            f"{response.request.url.copy_with(query=None)} answered {response.status_code}, and not as Seatwise does. "
            "Is it the right URL?"
        )
    return ApiProblem(response.status_code, members)


def _words(status: int, members: dict[str, Any]) -> str:
    """Title, detail, and a line for each bad field."""
    title = members.get("title") or HTTPStatus(status).phrase
    lines = [f"{title} ({status}): {members.get('detail', '')}"]
    for error in members.get("errors") or ():
        place = str(error.get("pointer") or error.get("parameter") or "").removeprefix("#/")
        lines.append(f"  {place}: {error.get('detail', '')}")
    if status == HTTPStatus.UNAUTHORIZED:
        lines.append("  Give a valid API key with --key.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and members.get("request_id"):
        lines.append(f"  request_id: {members['request_id']}")
    return "\n".join(lines)
