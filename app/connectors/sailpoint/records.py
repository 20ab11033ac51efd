"""ISC's sources and accounts, read into what mappings need of them.

Source: developer.sailpoint.com/docs/api/list-sources-v-1, …/list-accounts-v-1
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.connectors.contract import Rejected
from app.connectors.reading import UNREADABLE, decode, text, unreadable, within
from app.http.vendor import Answer

_NO_OBJECT = "The record is not an object with an id."


class Source(msgspec.Struct, frozen=True):
    """One source. `type` is its connector's kind (`Okta`, `DelimitedFile`), `connector` the name of that connector."""

    id: str
    name: str
    type: str | None
    connector: str | None


class SourceAccount(msgspec.Struct, frozen=True):
    """One account of a source.

    native_identity  the source's own key of it, often opaque; `name` is what people know it by.
    """

    id: str
    native_identity: str
    name: str | None
    mail: str | None


class _Source(msgspec.Struct):
    id: Any = None
    name: Any = None
    type: Any = None
    connectorName: Any = None  # noqa: N815  the vendor's name


class _Account(msgspec.Struct):
    id: Any = None
    name: Any = None
    nativeIdentity: Any = None  # noqa: N815  the vendor's name
    attributes: Any = None


_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_SOURCE = msgspec.json.Decoder(_Source)
_ACCOUNT = msgspec.json.Decoder(_Account)


def read_rows(answer: Answer) -> list[msgspec.Raw]:
    return decode(answer, _ROWS, expected="a list of records")


def read_source(raw: msgspec.Raw) -> Source | Rejected:
    try:
        source = _SOURCE.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    source_id = text(source.id)
    if source_id is None:
        return unreadable(raw, _NO_OBJECT)
    return Source(source_id, text(source.name) or source_id, text(source.type), text(source.connectorName))


def read_account(raw: msgspec.Raw) -> SourceAccount | Rejected:
    """The e-mail is the attribute `mail`, as most sources name it, else `email`, whatever their case."""
    try:
        account = _ACCOUNT.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    account_id = text(account.id)
    if account_id is None:
        return unreadable(raw, _NO_OBJECT)
    name = text(account.name)
    native_identity = text(account.nativeIdentity) or name or account_id
    return SourceAccount(account_id, native_identity, name, _mail(account.attributes))


def _mail(attributes: object) -> str | None:
    if (mail := text(within(attributes, "mail"))) is not None or not isinstance(attributes, dict):
        return mail
    by_name = {str(name).lower(): value for name, value in attributes.items()}
    return text(by_name.get("mail")) or text(by_name.get("email"))
