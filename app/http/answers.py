"""What an answer means: fine, worth another try, or the end. No I/O.

Every error says what happened in plain words, with the request's method and path, never its query, and with the
vendor's own words shortened and cleared of anything that looks like a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import httpx
import msgspec

from app.core.errors import (
    CredentialRefused,
    InsufficientPermissions,
    UnexpectedAnswer,
    VendorBusy,
    VendorError,
    VendorUnavailable,
)
from app.http.masking import masked, without_secrets
from app.http.retry import told_wait
from app.http.tokens import oauth_error, refusal

_CODE = re.compile(r"[\w.:/ -]{1,64}", re.ASCII)

_REFERENCE = re.compile(r"[0-9a-f-]{8,64}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor answered, read whole. Header values that came more than once are all kept."""

    status: int
    headers: httpx.Headers = field(repr=False)
    content: bytes = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VendorFault:
    """A vendor's error, read by its connector.

    code, message  the vendor's own; None where the body has none.
    kind           the class that it means, None for the usual one of the status. VendorBusy and VendorUnavailable
                   are retried like a 429 and a 503.
    reference      the vendor's name for this very answer, which its support asks for: 8 to 64 hexadecimal digits.
    """

    code: str | None = None
    message: str | None = None
    kind: type[VendorError] | None = None
    reference: str | None = None


ErrorReader = Callable[[int, httpx.Headers, bytes], VendorFault]
Course = Literal["stop", "renew", "retry"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an answer is not the one we asked for.

    error   what to raise when nothing more is tried.
    course  stop; renew the token and try again; or wait and try again.
    told_s  seconds that the vendor asked us to wait, None where it asked nothing.
    """

    error: VendorError
    course: Course
    told_s: float | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads the answers to one request.

    request  `GET /api/v1/users`.
    secrets  texts that must not appear in any message.
    hint     what to look at when a token endpoint does not know the client.
    """

    request: str
    read_error: ErrorReader
    secrets: Collection[str] = field(default=(), repr=False)
    hint: str = ""

    def api(self, answer: Answer, now: datetime) -> Problem | None:
        """The problem of an API's answer, None for a success."""
        if common := self._common(answer, now):
            return common
        if _is_success(answer.status):
            return None
        if answer.status in {401, 403} and is_html(answer):
            return self._passing_page(answer)
        fault = self.read_error(answer.status, answer.headers, answer.content)
        if fault.kind is not None and issubclass(fault.kind, VendorBusy | VendorUnavailable):
            return self._problem(fault.kind, answer, fault, "retry", told_wait(answer.headers, now))
        if answer.status == 401 and fault.kind in {None, CredentialRefused}:
            return self._problem(CredentialRefused, answer, fault, "renew")
        usual = InsufficientPermissions if answer.status == 403 else UnexpectedAnswer
        return self._problem(fault.kind or usual, answer, fault, "stop")

    def token(self, answer: Answer, now: datetime) -> Problem | None:
        """The problem of a token endpoint's answer, None for a success."""
        if common := self._common(answer, now):
            return common
        if _is_success(answer.status):
            return None
        damaged = answer.content.lstrip()[:1] == b"{" and not is_json(answer.content)
        if answer.status != 404 and (is_html(answer) or damaged):
            return self._passing_page(answer)
        code, words = oauth_error(answer.content)
        code = self._code(code)
        if code == "temporarily_unavailable":
            return self._problem(VendorUnavailable, answer, VendorFault(code, words), "retry")
        error = refusal(answer.status, code, self._clean(words), hint=self.hint)
        error.request, error.vendor_status, error.vendor_code = self.request, answer.status, code
        return Problem(error, "stop")

    def lost(self, kind: type[VendorError], words: str, course: Course = "retry") -> Problem:
        """The problem when no whole answer came."""
        reason = self._clean(words).rstrip(".")
        return Problem(kind(f"{self.request} got no whole answer: {reason}.", request=self.request), course)

    def _common(self, answer: Answer, now: datetime) -> Problem | None:
        """What statuses mean everywhere, whoever answers."""
        status = answer.status
        if status == 429 or status >= 500 or status == 408:
            kind = VendorBusy if status == 429 else VendorUnavailable
            told = told_wait(answer.headers, now, by_reset=status == 429)
            fault = self.read_error(status, answer.headers, answer.content)
            return self._problem(kind, answer, fault, "retry", told)
        if 300 <= status < 400:
            detail = f"{self.request} was redirected (status {status}), which is not followed. Check the address."
            return Problem(UnexpectedAnswer(detail, request=self.request, vendor_status=status), "stop")
        if _is_success(status) and status not in {204, 205} and not is_json(answer.content):
            what = "a web page" if is_html(answer) else "a body that is not JSON or was cut off"
            detail = f"{self.request} was answered with {what}."
            return Problem(UnexpectedAnswer(detail, request=self.request, vendor_status=status), "retry")
        return None

    def _passing_page(self, answer: Answer) -> Problem:
        detail = f"{self.request} was answered with a page that is not the vendor's (status {answer.status})."
        return Problem(UnexpectedAnswer(detail, request=self.request, vendor_status=answer.status), "retry")

    def _problem(
        self, kind: type[VendorError], answer: Answer, fault: VendorFault, course: Course, told_s: float | None = None
    ) -> Problem:
        own = self._code(fault.code)
        code = f" ({own})" if own else ""
        said = f": {words}" if (words := self._clean(fault.message)) else "."
        detail = f"{self.request} was answered with status {answer.status}{code}{said}{self._reference(fault)}"
        error = kind(detail, request=self.request, vendor_status=answer.status, vendor_code=own)
        return Problem(error, course, told_s)

    def _reference(self, fault: VendorFault) -> str:
        named = fault.reference or ""
        shown = _REFERENCE.fullmatch(named) and not any(named in secret for secret in self.secrets)
        return f" (tracking id {named})" if shown else ""

    def _code(self, code: str | None) -> str | None:
        """The vendor's code, where it is one and not a text that holds whatever the vendor was sent."""
        shown = code is not None and _CODE.fullmatch(code) and masked(code, self.secrets) == code
        return code if shown else None

    def _clean(self, words: str | None) -> str:
        return without_secrets(words or "", self.secrets)


def is_html(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "").lower() or answer.content.lstrip()[:1] == b"<"


# An escaped backslash, a pair of surrogates, or half of one.
_ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_HALF_PAIR = 6


def without_half_pairs(content: bytes) -> bytes:
    """JSON in which each lone surrogate, as a name cut inside an emoji has, is the replacement character: JSON allows
    the escape, Unicode has no such character, and one record must not cost its page.
    """
    if b"\\ud" not in content and b"\\uD" not in content:
        return content
    return _ESCAPES.sub(lambda found: rb"\ufffd" if len(found[0]) == _HALF_PAIR else found[0], content)


def is_json(content: bytes) -> bool:
    """Whether a body is one whole JSON value; its strings are not decoded."""
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _is_success(status: int) -> bool:
    return 200 <= status < 300
