"""What can go wrong, grouped by what follows from it.

SeatwiseError
├── InvalidInput            what was sent cannot be used; names each bad field
├── BadCursor               a cursor is damaged or belongs to another list
├── NotAuthenticated        nobody we know is calling
├── NotAllowed              the caller lacks the role
├── NotFound                no such thing
├── Conflict                the state of things forbids it; says what to do
├── StalePrecondition       If-Match names an older state
├── TooManyRequests         the caller asks more often than it may
├── Unavailable             the database cannot be reached, or the process is stopping
└── VendorError             a vendor did not give what we asked for
    ├── CredentialRefused         inactivates the instance (token_revoked)
    ├── InsufficientPermissions   inactivates the instance (insufficient_permissions)
    ├── VendorUnavailable         5xx, network, time-out; passing
    ├── VendorBusy                429 beyond our patience; passing
    ├── UnexpectedAnswer          not JSON, cut off, wrong shape; passing
    │   └── CursorRefused         the vendor no longer knows a saved page cursor
    ├── PagingError               a repeated cursor, a next link to a foreign host
    ├── OutboundRefused           the address is private and not allowed
    └── InvalidOptions            the vendor does not know the tenant that the options name
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal


class SeatwiseError(Exception):
    """Base of all errors that the service raises on purpose. The message is fit for a user's eyes."""

    def __init__(self, detail: str, **extensions: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field. `pointer` is a JSON pointer fragment into the body (`#/options/region`), `parameter` the
    name of a query, path or header parameter; one of the two is set.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        place = {"pointer": self.pointer} if self.pointer is not None else {"parameter": self.parameter or ""}
        return {**place, "detail": self.detail}


class InvalidInput(SeatwiseError):
    def __init__(
        self, errors: Sequence[FieldError], detail: str = "The request has fields that cannot be used."
    ) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)

    @classmethod
    def at(cls, pointer: str, detail: str) -> InvalidInput:
        return cls([FieldError(detail, pointer=pointer)])

    @classmethod
    def parameter(cls, name: str, detail: str) -> InvalidInput:
        return cls([FieldError(detail, parameter=name)])


class BadCursor(SeatwiseError):
    pass


class NotAuthenticated(SeatwiseError):
    pass


class NotAllowed(SeatwiseError):
    pass


class NotFound(SeatwiseError):
    pass


class Conflict(SeatwiseError):
    """`errors`, when given, become the problem's member of that name; other extensions are members too."""

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), **extensions: Any) -> None:
        super().__init__(detail, **extensions)
        self.errors = tuple(errors)


class StalePrecondition(SeatwiseError):
    pass


class TooManyRequests(SeatwiseError):
    """wait_s   seconds until the caller may ask again."""

    def __init__(self, detail: str, *, wait_s: int) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


class Unavailable(SeatwiseError):
    pass


FailureCode = Literal[
    "credential_refused",
    "insufficient_permissions",
    "vendor_unavailable",
    "vendor_busy",
    "unexpected_answer",
    "paging_error",
    "outbound_refused",
    "invalid_options",
    "internal",
]


class VendorError(SeatwiseError):
    """A call to a vendor failed for good, after the retries its kind deserves.

    request        method and path as sent, without the query: `GET /api/v1/users`.
    vendor_status  HTTP status of the last answer, None where none came.
    vendor_code    the vendor's own error code (`E0000011`, `REQUEST_LIMITED`), None where it gave none.
    """

    code: ClassVar[FailureCode] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        request: str | None = None,
        vendor_status: int | None = None,
        vendor_code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.request = request
        self.vendor_status = vendor_status
        self.vendor_code = vendor_code


class CredentialRefused(VendorError):
    code = "credential_refused"


class InsufficientPermissions(VendorError):
    code = "insufficient_permissions"


class VendorUnavailable(VendorError):
    code = "vendor_unavailable"
    retryable = True


class VendorBusy(VendorError):
    code = "vendor_busy"
    retryable = True


class UnexpectedAnswer(VendorError):
    code = "unexpected_answer"
    retryable = True


class CursorRefused(UnexpectedAnswer):
    """A saved cursor is no longer accepted; the stream has to be read again from its beginning."""


class PagingError(VendorError):
    code = "paging_error"


class OutboundRefused(VendorError):
    code = "outbound_refused"


class InvalidOptions(VendorError):
    code = "invalid_options"
