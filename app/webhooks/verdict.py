"""What a receiver's answer means. Pure.

SailPoint answers 200 also where nothing ran, and says so in the body; its errors have `detailCode`, `messages`, and a
`trackingId` that its support asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

_WORDS_CHARS = 500
_HINTS = {
    400: "It does not accept what it was sent.",
    401: "It refuses the credential. Give the webhook another.",
    403: "The credential lacks the right to call it.",
    404: "Nothing listens at this URL. Check it.",
    413: "The message is too large for it. Lower max_message_bytes.",
    429: "It asks for fewer messages.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """error is None where the message counts as delivered."""

    error: str | None
    workflow_execution_id: str | None = None


def judge(status: int, content: bytes, *, runs_workflow: bool) -> Verdict:
    """Read one answer.

    runs_workflow   whether only a started workflow counts.
    """
    if not 200 <= status < 300:
        return Verdict(_refusal(status, content))
    if not runs_workflow:
        return Verdict(None)
    execution = _object(content).get("workflowExecutionId")
    if isinstance(execution, str | int) and str(execution).strip():
        return Verdict(None, str(execution)[:200])
    words = _words(content)
    said = f"it says: {words}" if words else "the answer has no workflowExecutionId. Check that the workflow is enabled"
    return Verdict(f"Answered {_name(status)}, but no workflow was started: {said.rstrip('.')}.")


def _refusal(status: int, content: bytes) -> str:
    if status == HTTPStatus.GONE:
        return "Answered 410 (Gone): the receiver wants no further messages."
    if 300 <= status < 400:
        return f"Answered {_name(status)}: redirects are not followed. Give the webhook the URL that it leads to."
    hint = f": {_HINTS[status]}" if status in _HINTS else "."
    words = _words(content)
    said = f" It says: {words.rstrip('.')}." if words else ""
    return f"Answered {_name(status)}{hint}{said}"


def _name(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def _words(content: bytes) -> str | None:
    """The receiver's own words for what went wrong, where its answer is JSON that has some."""
    body = _object(content)
    messages = [part["text"] for part in _list(body.get("messages")) if isinstance(part.get("text"), str)]
    nested = body.get("error")
    inner = nested.get("message") if isinstance(nested, Mapping) else None
    named = [inner, *(body.get(name) for name in ("detailCode", "error", "message", "detail", "error_description"))]
    words = [*(text for text in named if isinstance(text, str) and text), *dict.fromkeys(messages)]
    tracking = body.get("trackingId")
    if isinstance(tracking, str) and tracking:
        words.append(f"(trackingId {tracking})")
    return " ".join(words)[:_WORDS_CHARS] or None


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
