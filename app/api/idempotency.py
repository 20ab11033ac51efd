"""`Idempotency-Key`: a POST that is sent again gets the first answer again, and is done once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import msgspec
from fastapi import Request, Response
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.core.clock import now
from app.core.errors import InvalidInput
from app.models import IdempotencyRecord
from app.vault import Vault

HEADER = "Idempotency-Key"
LIFE = timedelta(hours=24)
KEY_PATTERN = r"^[\x20-\x7e]{1,255}$"
_KEPT_HEADERS = ("content-type", "location", "etag")


class _Answer(msgspec.Struct):
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST with a key: whose it is and what was sent.

    key   SHA-256 of the key, in hex: callers may send there what nobody else should read.
    """

    caller: str
    path: str
    key: str
    body_hash: bytes

    @property
    def context(self) -> str:
        """What the sealed answer is bound to."""
        return f"idempotency_records/{self.caller}/{self.path}/{self.key}"

    @property
    def lock(self) -> int:
        """The number of the turn that the attempt has until it is answered."""
        return int.from_bytes(sha256(self.context.encode()).digest()[:8], "big", signed=True)


async def attempt_of(request: Request, principal: Principal) -> Attempt | None:
    """The attempt that a request is, None where it has no key. Raises InvalidInput for a key that cannot be one."""
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None:
        return None
    if not re.fullmatch(KEY_PATTERN, key):
        raise InvalidInput.parameter(HEADER, "This is 1 to 255 printable ASCII characters.")
    sent = sha256(request.url.query.encode() + b"\0" + await request.body()).digest()
    kept = sha256(key.encode()).hexdigest()
    return Attempt(f"{principal.type}:{principal.id}", request.url.path, kept, sent)


async def replay(session: AsyncSession, vault: Vault, attempt: Attempt) -> Response | None:
    """The first answer, None where this attempt is the first, which has its turn.

    Raises InvalidInput where the key came with another body before.
    """
    record = await session.get(IdempotencyRecord, (attempt.caller, attempt.path, attempt.key))
    if record is None or record.created_at < now() - LIFE:
        return None
    if record.body_hash != attempt.body_hash:
        raise InvalidInput.parameter(HEADER, "This key was sent with another body before; take a new one.")
    kept = msgspec.json.decode(vault.open(record.sealed_answer, context=attempt.context), type=_Answer)
    return Response(kept.body, record.status, {**kept.headers, "Idempotent-Replayed": "true"})


async def remember(session: AsyncSession, vault: Vault, attempt: Attempt, response: Response) -> None:
    """Keep the answer, sealed, in the transaction of what it answers for. Errors and streams are not kept."""
    if response.status_code >= 400 or not isinstance(getattr(response, "body", None), bytes):
        return
    headers = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
    sealed = vault.seal(msgspec.json.encode(_Answer(bytes(response.body), headers)), context=attempt.context)
    values = {
        "body_hash": attempt.body_hash,
        "status": response.status_code,
        "sealed_answer": sealed,
        "created_at": now(),
    }
    statement = insert(IdempotencyRecord).values(caller=attempt.caller, path=attempt.path, key=attempt.key, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["caller", "path", "key"], set_=values))
