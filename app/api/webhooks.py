"""Webhooks: endpoints that messages are posted to. Secrets go in and never come out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from app.access.audit import MASK, audit
from app.api.deps import Admin, Operator, Runtime, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Creator, Name, Resource, answer, etag_of, require_match, unset
from app.api.unit_of_work import Route
from app.core.clock import now
from app.core.ids import new_id
from app.events.publish import EventType
from app.models import Webhook
from app.webhooks import endpoints
from app.webhooks.attempt import Target, attempt
from app.webhooks.messages import message

router = APIRouter(prefix="/v1/webhooks", tags=["Webhooks"], route_class=Route)

MAX_MESSAGE_BYTES = 10 * 1024 * 1024
MONTH_S = 30 * 24 * 3600

Url = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://hooks.example.com/seatwise"])]
Events = Annotated[
    list[EventType],
    Field(
        max_length=100,
        description="What is told; empty for one that is only an output of reports.",
        examples=[["sync.failed"]],
    ),
]
Format = Annotated[
    Literal["standard", "sailpoint_workflow"],
    Field(description='The body: `{"type", "timestamp", "data"}`, or `{"input": {…}}` for a workflow of SailPoint.'),
]
Delivery = Annotated[
    Literal["pages", "link"], Field(description="How rows of reports come: in messages, or as a signed link.")
]
MessageBytes = Annotated[
    int, Field(strict=True, ge=1024, le=MAX_MESSAGE_BYTES, description="Size of a whole body that pages keep within.")
]
LinkTtl = Annotated[
    int, Field(strict=True, ge=60, le=MONTH_S, description="How long a signed link is good, in seconds.")
]
Concurrency = Annotated[int, Field(strict=True, ge=1, le=64, description="Messages that are under way at a time.")]
AuthType = Literal["none", "bearer", "oauth2_client_credentials"]
Visible = Annotated[str, Field(min_length=1, max_length=16_000, pattern=r"^[\x21-\x7e]+$")]
Line = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Secret = Field(default=None, json_schema_extra={"writeOnly": True})


class AuthPatch(Body):
    """How messages are let in, beside their signature. Merged while the type stays; a secret not sent is kept."""

    type: AuthType = Field(default_factory=unset)
    secret: Visible | None = Field(
        default=None,
        description="Of `bearer`: the token alone, sent as `Authorization: Bearer`.",
        json_schema_extra={"writeOnly": True},
    )
    token_url: Url | None = Field(default=None, description="Of `oauth2_client_credentials`.")
    client_id: Line | None = None
    client_secret: Line | None = Secret
    scope: Line | None = None


class NewAuth(AuthPatch):
    """How messages are let in, beside their signature: `none`; `bearer` with `secret`; or
    `oauth2_client_credentials` with `token_url`, `client_id`, `client_secret` and, where asked for, `scope`.
    """

    type: AuthType


class NewWebhook(Body):
    """An endpoint to be told."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "ISC workflow",
                    "url": "https://acme.api.identitynow.com/workflows/v1/execute/external/7d1f0c52-1111-4222-8333-4444",
                    "events": ["report.completed", "sync.failed"],
                    "format": "sailpoint_workflow",
                    "auth": {
                        "type": "oauth2_client_credentials",
                        "token_url": "https://acme.api.identitynow.com/oauth/token",
                        "client_id": "5b0f7d1e-0c53-4a59-8f0e-6a1f8e2b4c77",
                        "client_secret": "…",
                        "scope": None,
                    },
                }
            ]
        }
    )

    name: Name
    url: Url
    events: Events = Field(default_factory=list)
    format: Format = "standard"
    auth: NewAuth = Field(default_factory=lambda: NewAuth(type="none"))
    max_message_bytes: MessageBytes = 256 * 1024
    delivery: Delivery = "pages"
    link_ttl_seconds: LinkTtl = 24 * 3600
    max_concurrency: Concurrency = 4


class WebhookPatch(Body):
    """A merge patch. `status`: `disabled` lets what is pending fail, `enabled` begins anew."""

    name: Name = Field(default_factory=unset)
    url: Url = Field(default_factory=unset)
    events: Events = Field(default_factory=unset)
    format: Format = Field(default_factory=unset)
    auth: AuthPatch = Field(default_factory=unset)
    max_message_bytes: MessageBytes = Field(default_factory=unset)
    delivery: Delivery = Field(default_factory=unset)
    link_ttl_seconds: LinkTtl = Field(default_factory=unset)
    max_concurrency: Concurrency = Field(default_factory=unset)
    status: Literal["enabled", "disabled"] = Field(default_factory=unset)

    def changes(self) -> dict[str, Any]:
        """The merge patch with `auth` as plain members."""
        sent = self.sent()
        return sent | ({"auth": self.auth.sent()} if "auth" in sent else {})


class AuthAnswer(BaseModel):
    """How messages are let in; of its secrets `secrets_set` has the names."""

    type: AuthType
    token_url: str | None = Field(default=None, examples=["https://acme.api.identitynow.com/oauth/token"])
    client_id: str | None = None
    scope: str | None = None


class WebhookAnswer(Resource):
    """An endpoint."""

    name: str = Field(examples=["ISC workflow"])
    url: str
    events: list[EventType]
    format: Format
    auth: AuthAnswer
    secrets_set: list[str] = Field(examples=[["client_secret"]])
    token_expires_at: datetime | None = Field(description="When the bearer token ends, if it is a JWT.")
    status: Literal["enabled", "disabled"]
    disabled_reason: Literal["gone", "failing", "user"] | None
    max_message_bytes: int
    delivery: Delivery
    link_ttl_seconds: int
    max_concurrency: int
    created_by: Creator


class SignedWebhook(WebhookAnswer):
    """An endpoint, with its new signing secret."""

    signing_secret: str = Field(description="Signs each message, after Standard Webhooks; in this answer only.",
                                examples=["whsec_…"])  # fmt: skip


class WebhookRotation(Body):
    """A new signing secret."""

    overlap_seconds: int = Field(
        default=24 * 3600, strict=True, ge=0, le=MONTH_S, description="How long the old one signs too."
    )


class TestAnswer(BaseModel):
    """What became of a test message."""

    ok: bool
    status_code: int | None = Field(description="Null where no answer came.", examples=[200])
    latency_ms: int | None = Field(examples=[87])
    detail: str = Field(examples=["The endpoint took the message."])
    answer_excerpt: str | None = Field(description="The beginning of the answer.", examples=["ok"])


def shown(webhook: Webhook) -> WebhookAnswer:
    members = {name: getattr(webhook, name) for name in WebhookAnswer.model_fields if name != "secrets_set"}
    return WebhookAnswer.model_validate({**members, "secrets_set": endpoints.secret_names(webhook.auth)})


@router.get("", operation_id="list_webhooks", response_model=ListOf[WebhookAnswer])
async def list_webhooks(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging("name"))],
    q: Annotated[str | None, Query(description="Part of the name, in any case.", examples=["workflow"])] = None,
) -> Response:
    """Webhooks, newest first."""
    statement = select(Webhook)
    if q is not None:
        statement = statement.where(func.lower(Webhook.name).contains(q.lower(), autoescape=True))
    by_name = func.lower(Webhook.name).collate("C")
    found = await select_page(session, statement, page, identity=Webhook.id, sorts={"name": by_name})
    return list_answer(request, page, [shown(w) for w in found.items], last=found.last, total=found.total)


@router.post("", operation_id="create_webhook", status_code=201, response_model=SignedWebhook)
async def create_webhook(
    request: Request, caller: Admin, session: Session, runtime: Runtime, body: NewWebhook
) -> Response:
    """Keep an endpoint. Its secrets are encrypted and never shown again; its signing secret is shown this once."""
    webhook, secret = await endpoints.create(session, runtime, by=caller, **body.model_dump())
    answered = shown(webhook)
    named = ("webhook", webhook.id, webhook.name)
    audit(session, caller, request, "webhook.created", *named, None, answered.model_dump() | _set_secrets(webhook))
    location = f"{router.prefix}/{webhook.id}"
    return answer(request, _signed(answered, secret), 201, location=location, etag=etag_of(answered))


@router.get("/{webhook_id}", operation_id="get_webhook", response_model=WebhookAnswer)
async def get_webhook(request: Request, _caller: Viewer, session: Session, webhook_id: UUID) -> Response:
    """One webhook."""
    return answer(request, shown(await endpoints.get(session, webhook_id)))


@router.patch("/{webhook_id}", operation_id="update_webhook", response_model=WebhookAnswer)
async def update_webhook(
    request: Request, caller: Admin, session: Session, runtime: Runtime, webhook_id: UUID, body: WebhookPatch
) -> Response:
    """Change a webhook by a JSON merge patch."""
    webhook = await endpoints.get(session, webhook_id, lock=True)
    before = shown(webhook)
    require_match(request, before)
    sent = body.changes()
    await endpoints.change(session, runtime, webhook, sent)
    answered = shown(webhook)
    after = answered.model_dump() | (_set_secrets(webhook) if "auth" in sent else {})
    named = ("webhook", webhook.id, webhook.name)
    audit(session, caller, request, "webhook.updated", *named, before.model_dump(), after)
    return answer(request, answered)


@router.delete(
    "/{webhook_id}",
    operation_id="delete_webhook",
    status_code=204,
    response_class=Response,
    responses=problems(409),
)
async def delete_webhook(request: Request, caller: Admin, session: Session, webhook_id: UUID) -> Response:
    """Delete a webhook and its deliveries; 409 with the member `reports` while it is an output of any."""
    webhook = await endpoints.get(session, webhook_id, lock=True)
    before = shown(webhook)
    require_match(request, before)
    await endpoints.delete(session, webhook)
    named = ("webhook", webhook.id, webhook.name)
    audit(session, caller, request, "webhook.deleted", *named, before.model_dump(), None)
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", operation_id="rotate_webhook", response_model=SignedWebhook)
async def rotate_webhook(
    request: Request,
    caller: Admin,
    session: Session,
    runtime: Runtime,
    webhook_id: UUID,
    body: WebhookRotation | None = None,
) -> Response:
    """Sign with a new secret. Until the overlap ends messages carry both signatures."""
    overlap = timedelta(seconds=(body or WebhookRotation()).overlap_seconds)
    webhook = await endpoints.get(session, webhook_id, lock=True)
    secret = await endpoints.rotate(session, runtime.vault, webhook, overlap)
    answered = shown(webhook)
    after = {"signing_secret": MASK, "overlap_seconds": int(overlap.total_seconds())}
    named = ("webhook", webhook.id, webhook.name)
    audit(session, caller, request, "webhook.rotated", *named, {"signing_secret": None}, after)
    return answer(request, _signed(answered, secret), etag=etag_of(answered))


@router.post("/{webhook_id}/test", operation_id="test_webhook", response_model=TestAnswer)
async def send_test(_caller: Operator, session: Session, runtime: Runtime, webhook_id: UUID) -> TestAnswer:
    """Send a signed `webhook.test`, once, also to a disabled webhook. A workflow of SailPoint is asked at its `/test`
    endpoint, where nothing runs. 200 also when it is not ok.
    """
    webhook = await endpoints.get(session, webhook_id)
    await session.commit()  # the endpoint is called with no transaction open
    data = {"webhook_id": webhook.id, "webhook": webhook.name, "test": True}
    message_id = new_id()
    body = message(webhook.format, message_id, "webhook.test", now(), data)
    outcome = await attempt(runtime, Target.of(webhook), message_id, body, test=True)
    return TestAnswer(
        ok=outcome.ok,
        status_code=outcome.status_code,
        latency_ms=outcome.latency_ms,
        detail=outcome.error or "The endpoint took the message.",
        answer_excerpt=outcome.answer_excerpt,
    )


def _signed(answered: WebhookAnswer, secret: str) -> SignedWebhook:
    return SignedWebhook(**answered.model_dump(), signing_secret=secret)


def _set_secrets(webhook: Webhook) -> dict[str, Any]:
    """What the audit keeps of secrets that were set: their names."""
    return {"secrets": dict.fromkeys(endpoints.secret_names(webhook.auth), MASK)}
