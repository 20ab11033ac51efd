"""What people were told, by mail and here, and whom all of it goes to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import audit
from app.api.deps import Admin, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.resources import Body, Email, Resource, answer, require_match
from app.api.unit_of_work import Route
from app.core import locks
from app.core.clock import now
from app.core.errors import NotFound
from app.models import Notification, NotificationEmail, NotificationRecipient
from app.notifications.notify import Kind, each_once

router = APIRouter(prefix="/v1", tags=["Notifications"], route_class=Route)


class Recipients(Body):
    """Addresses that are told everything. While there are none, an instance's creator is told of it."""

    emails: Annotated[list[Email], Field(max_length=100, examples=[["it-ops@example.com"]])]


class EmailAnswer(BaseModel):
    """A mail to one address. `recorded`: no mail server is configured, so it was not sent."""

    to: str = Field(examples=["it-ops@example.com"])
    status: Literal["pending", "sent", "failed", "recorded"]


class NotificationAnswer(Resource):
    """One change of state that people were told of."""

    kind: Kind
    instance_id: UUID | None
    subject: str = Field(examples=["PingOne production: the sync failed"])
    text: str = Field(examples=["PingOne says that the client secret has expired."])
    read_at: datetime | None
    emails: list[EmailAnswer]


class NotificationPatch(Body):
    """Marks a notification as read, or as unread again; for everybody."""

    read: bool


@router.get("/notification-recipients", operation_id="get_notification_recipients", response_model=Recipients)
async def get_recipients(request: Request, _caller: Viewer, session: Session) -> Response:
    """Whom every notification goes to, beside the contacts of its instance."""
    return answer(request, await _recipients(session))


@router.put("/notification-recipients", operation_id="replace_notification_recipients", response_model=Recipients)
async def replace_recipients(request: Request, caller: Admin, session: Session, body: Recipients) -> Response:
    """Replace the recipients. An address that is given twice is kept once."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.RECIPIENTS})
    before = await _recipients(session)
    require_match(request, before)
    emails = each_once(body.emails)
    await session.execute(delete(NotificationRecipient))
    if emails:
        rows = [{"place": place, "email": address} for place, address in enumerate(emails)]
        await session.execute(insert(NotificationRecipient), rows)
    after = Recipients(emails=emails)
    named = ("notification_recipients", None, None)
    audit(session, caller, request, "notification_recipients.updated", *named, before.model_dump(), after.model_dump())
    return answer(request, after)


@router.get("/notifications", operation_id="list_notifications", response_model=ListOf[NotificationAnswer])
async def list_notifications(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging())],
    instance_id: UUID | None = None,
    kind: Kind | None = None,
) -> Response:
    """Notifications, newest first."""
    statement = select(Notification)
    if instance_id is not None:
        statement = statement.where(Notification.instance_id == instance_id)
    if kind is not None:
        statement = statement.where(Notification.kind == kind)
    found = await select_page(session, statement, page, identity=Notification.id)
    return list_answer(request, page, await _shown(session, found.items), last=found.last, total=found.total)


@router.get("/notifications/{notification_id}", operation_id="get_notification", response_model=NotificationAnswer)
async def get_notification(request: Request, _caller: Viewer, session: Session, notification_id: UUID) -> Response:
    """One notification."""
    (shown,) = await _shown(session, [await _get(session, notification_id)])
    return answer(request, shown)


@router.patch("/notifications/{notification_id}", operation_id="mark_notification", response_model=NotificationAnswer)
async def mark_notification(
    request: Request, caller: Viewer, session: Session, notification_id: UUID, body: NotificationPatch
) -> Response:
    """Mark a notification as read. Anybody may."""
    notification = await _get(session, notification_id, lock=True)
    (before,) = await _shown(session, [notification])
    require_match(request, before)
    if body.read != (notification.read_at is not None):
        notification.read_at = now() if body.read else None
        notification.updated_at = now()
        await session.flush()
    (after,) = await _shown(session, [notification])
    marked = ("notification", notification.id, notification.subject)
    changes = ({"read_at": before.read_at}, {"read_at": after.read_at})
    audit(session, caller, request, "notification.updated", *marked, *changes)
    return answer(request, after)


async def _recipients(session: AsyncSession) -> Recipients:
    listed = await session.scalars(select(NotificationRecipient.email).order_by(NotificationRecipient.place))
    return Recipients(emails=list(listed))


async def _get(session: AsyncSession, notification_id: UUID, *, lock: bool = False) -> Notification:
    notification = await session.get(Notification, notification_id, with_for_update=lock)
    if notification is None:
        raise NotFound("There is no notification with this id.")
    return notification


async def _shown(session: AsyncSession, notifications: Sequence[Notification]) -> list[NotificationAnswer]:
    ids = [notification.id for notification in notifications]
    mails = await session.scalars(
        select(NotificationEmail).where(NotificationEmail.notification_id.in_(ids)).order_by(NotificationEmail.id)
    )
    emails: dict[UUID, list[EmailAnswer]] = defaultdict(list)
    for mail in mails:
        emails[mail.notification_id].append(EmailAnswer.model_validate({"to": mail.address, "status": mail.status}))
    return [
        NotificationAnswer.model_validate(
            {
                **{name: getattr(each, name) for name in NotificationAnswer.model_fields if name != "emails"},
                "emails": emails[each.id],
            }
        )
        for each in notifications
    ]
