"""Report runs by mail: the file attached where it is small enough, else a signed link to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage

from app.access.links import RunLinks, public_base
from app.core.database import Record
from app.core.errors import InvalidInput
from app.models import ReportRun
from app.notifications.mail import Attachment, compose
from app.notifications.notify import as_html
from app.notifications.post import Outbox, empty
from app.reports.files import file_of
from app.sync.runtime import Runtime

LINK_LASTS = timedelta(days=7)
# A large attachment may take its time; still within the time for which the mail is claimed.
_LIMIT_S = 100
_CONTENT = "FROM taken t"


async def post_reports(runtime: Runtime) -> None:
    """Send the report mails that are due. Without SEATWISE_SMTP_URL they are recorded and not sent."""
    composer = _Composer(runtime, RunLinks(runtime.database, runtime.vault))
    await empty(Outbox("report_emails", _CONTENT, composer.mail, _LIMIT_S), runtime.database, runtime.settings)


@dataclass(frozen=True, slots=True)
class _Composer:
    runtime: Runtime
    links: RunLinks

    async def mail(self, row: Record) -> EmailMessage:
        """A row of `report_emails` as a mail, the same at each attempt."""
        async with self.runtime.database.session() as session:
            run = await session.get_one(ReportRun, row["run_id"])
        attachment = await self._attachment(run, row)
        link = None if attachment is not None else await self._link(row)
        text = _text(run, attachment, row)
        # Encoding an attachment of megabytes takes a while.
        return await asyncio.to_thread(
            compose,
            sender=self.runtime.settings.mail_from,
            to=row["address"],
            subject=" ".join(str(run.definition["name"]).split()),
            text=text,
            html=as_html(text),
            message_id=row["message_id"],
            at=row["created_at"],
            link=link,
            attachment=attachment,
        )

    async def _attachment(self, run: ReportRun, row: Record) -> Attachment | None:
        """None where the file is larger than may be attached, or cannot be made."""
        try:
            file = await file_of(self.runtime.database.pool, run, row["format"])
        except InvalidInput:
            return None
        if file.length is not None and file.length > row["attach_bytes"]:
            return None
        content = await _within(file.content, row["attach_bytes"])
        return None if content is None else Attachment(file.name, file.media_type, content)

    async def _link(self, row: Record) -> str:
        base = await public_base(self.runtime.database, self.runtime.settings)
        return await self.links.url(base, row["run_id"], row["format"], row["created_at"] + LINK_LASTS)


async def _within(content: AsyncGenerator[bytes], limit: int) -> bytes | None:
    """The whole content; None as soon as it is longer than the limit."""
    parts, length = [], 0
    async with aclosing(content) as stream:
        async for part in stream:
            parts.append(part)
            length += len(part)
            if length > limit:
                return None
    return b"".join(parts)


def _text(run: ReportRun, attachment: Attachment | None, row: Record) -> str:
    window = run.window or {}
    rows = f"Rows: {run.total_rows:,}\nWindow: {window.get('from')} to {window.get('to')}"
    facts = [str(run.definition["name"]), f"{rows}\nAs of: {run.as_of:%Y-%m-%d %H:%M} UTC"]
    if attachment is not None:
        return "\n\n".join([*facts, f"The rows are attached as {attachment.name}."])
    until = row["created_at"] + LINK_LASTS
    told = f"They are too many to attach. Until {until:%Y-%m-%d %H:%M} UTC whoever has this link can download them:"
    return "\n\n".join([*facts, told])
