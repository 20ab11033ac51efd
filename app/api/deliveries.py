"""Deliveries: what became of each message on its way to a webhook, and sending it again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from app.access.audit import audit
from app.api.deps import Operator, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Moment, Resource, answer
from app.api.unit_of_work import Route
from app.core.errors import NotFound
from app.events.publish import EventType
from app.models import Delivery
from app.webhooks import endpoints, redelivery

router = APIRouter(prefix="/v1", tags=["Deliveries"], route_class=Route)


class Attempt(BaseModel):
    """One attempt to post a message."""

    at: datetime
    status_code: int | None = Field(description="Null where no answer came.", examples=[503])
    latency_ms: int | None = Field(examples=[87])
    error: str | None = Field(description="Why it was no success, in plain words.", examples=["The answer was 503."])
    answer_excerpt: str | None = Field(description="The beginning of the answer.", examples=["try later"])


class DeliveryAnswer(Resource):
    """One message on its way to one webhook."""

    webhook_id: UUID
    message_id: UUID = Field(description="The `webhook-id`, the same over all attempts.")
    event: EventType
    run_id: UUID | None = Field(description="The report run that it is about.")
    page: int = Field(description="Page n+1 is sent after page n was acknowledged.", examples=[1])
    status: Literal["pending", "succeeded", "failed"]
    attempts: list[Attempt]
    next_attempt_at: datetime | None
    workflow_execution_id: str | None = Field(description="What the workflow's run is called at SailPoint.")
    delivered_at: datetime | None


class Since(Body):
    """From when on what failed is sent again."""

    since: Moment = Field(description="Of deliveries that failed since then, whenever they were made.")


class Redelivered(BaseModel):
    """How many messages are on their way again."""

    count: int = Field(examples=[12])


def shown(delivery: Delivery) -> DeliveryAnswer:
    return DeliveryAnswer.model_validate(delivery)


@router.get("/webhooks/{webhook_id}/deliveries", operation_id="list_deliveries", response_model=ListOf[DeliveryAnswer])
async def list_deliveries(
    request: Request,
    _caller: Viewer,
    session: Session,
    webhook_id: UUID,
    page: Annotated[Page, Depends(paging())],
    status: Literal["pending", "succeeded", "failed"] | None = None,
    run_id: UUID | None = None,
    event: EventType | None = None,
) -> Response:
    """Deliveries to a webhook, newest first."""
    await endpoints.get(session, webhook_id)
    statement = select(Delivery).where(Delivery.webhook_id == webhook_id)
    if status is not None:
        statement = statement.where(Delivery.status == status)
    if run_id is not None:
        statement = statement.where(Delivery.run_id == run_id)
    if event is not None:
        statement = statement.where(Delivery.event == event)
    found = await select_page(session, statement, page, identity=Delivery.id)
    return list_answer(request, page, [shown(d) for d in found.items], last=found.last, total=found.total)


@router.get("/deliveries/{delivery_id}", operation_id="get_delivery", response_model=DeliveryAnswer)
async def get_delivery(request: Request, _caller: Viewer, session: Session, delivery_id: UUID) -> Response:
    """One delivery, with all its attempts."""
    delivery = await session.get(Delivery, delivery_id)
    if delivery is None:
        raise NotFound("There is no delivery with this id; those that have ended are kept for 30 days.")
    return answer(request, shown(delivery))


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    operation_id="redeliver",
    status_code=202,
    response_model=DeliveryAnswer,
    responses=problems(409),
)
async def redeliver(request: Request, caller: Operator, session: Session, delivery_id: UUID) -> Response:
    """Send a message again, under the same `webhook-id`. A failed page takes the failed pages behind it along."""
    before = await session.scalar(select(Delivery.status).where(Delivery.id == delivery_id))
    delivery = await redelivery.redeliver(session, delivery_id)
    told = ({"status": before}, {"status": delivery.status})
    audit(session, caller, request, "delivery.updated", "delivery", delivery.id, delivery.event, *told)
    return answer(request, shown(delivery), 202, location=f"{router.prefix}/deliveries/{delivery_id}")


@router.post(
    "/webhooks/{webhook_id}/redeliver",
    operation_id="redeliver_since",
    status_code=202,
    response_model=Redelivered,
    responses=problems(409),
)
async def redeliver_since(
    request: Request, caller: Operator, session: Session, webhook_id: UUID, body: Since
) -> Redelivered:
    """Send everything again that failed since a time."""
    count = await redelivery.redeliver_since(session, webhook_id, body.since)
    webhook = await endpoints.get(session, webhook_id)
    told = {"redelivered_since": body.since, "redelivered": count}
    audit(session, caller, request, "webhook.updated", "webhook", webhook.id, webhook.name, {}, told)
    return Redelivered(count=count)
