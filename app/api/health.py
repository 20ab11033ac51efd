"""Alive, ready, and the figures for Prometheus. None of these asks for a key."""

from __future__ import annotations

import asyncio
from typing import Literal

import asyncpg
import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from app.api.deps import Runtime
from app.api.gauges import Gauges
from app.api.openapi import problems
from app.api.problems import RETRY_AFTER_S, problem
from app.api.unit_of_work import Route
from app.core import schema
from app.core.database import Database

log = structlog.get_logger(__name__)
router = APIRouter(tags=["Health"], route_class=Route)
TICK_S = 30
# A process that gets no answer for so long, or no connection, is not one to send requests to.
READY_WITHIN_S = 4
_TICKED = "SELECT EXISTS (SELECT FROM ticks WHERE at > now() - make_interval(secs => $1))"


class Metrics:
    """The figures of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.gauges = Gauges(self.registry)
        labels = ("method", "route", "status")
        self._requests = Counter("seatwise_http_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "seatwise_http_request_seconds", "Time from request to answer.", ("method", "route"), registry=self.registry
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. `route` is the path's template, so that ids make no new series."""
        method = known_method(method)
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def known_method(method: str) -> str:
    """A method as metrics and the log may have it: callers may send any word for one."""
    return method if method in _METHODS else "other"


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"


class Check(BaseModel):
    """One thing that `/readyz` looks at."""

    name: Literal["database", "migrations", "scheduler"]
    ok: bool
    detail: str = Field(examples=["No process ticked in the last 30 s."])


@router.get("/healthz", operation_id="get_health", response_model=Alive)
async def get_health() -> Alive:
    """Whether the process is alive."""
    return Alive()


@router.get("/readyz", operation_id="get_readiness", response_model=Ready, responses=problems(503))
async def get_readiness(request: Request, runtime: Runtime) -> Ready | Response:
    """Whether it can work: the database answers, has this version's schema, and some process has ticked lately."""
    failed = [check for check in await _checks(runtime.database) if not check.ok]
    if not failed:
        return Ready()
    return problem(
        request.scope,
        503,
        " ".join(check.detail for check in failed),
        headers={"Retry-After": str(RETRY_AFTER_S)},
        extensions={"checks": [check.model_dump() for check in failed]},
    )


async def _checks(database: Database) -> list[Check]:
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            if not await schema.is_servable(database):
                return [Check(name="migrations", ok=False, detail="The database needs this version's migrations.")]
            ticked = await database.pool.fetchval(_TICKED, TICK_S)
    except (OSError, TimeoutError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("database_unreachable", error=type(error).__name__)
        return [Check(name="database", ok=False, detail="The database cannot be reached.")]
    return [
        Check(
            name="scheduler",
            ok=ticked,
            detail="" if ticked else f"No process ticked in the last {TICK_S} s.",
        )
    ]


@router.get("/metrics", operation_id="get_metrics", response_class=Response, include_in_schema=False)
async def get_metrics(request: Request, runtime: Runtime) -> Response:
    """Figures of this process, and of the database, in Prometheus' text format."""
    metrics: Metrics = request.app.state.metrics
    await metrics.gauges.refresh(runtime.database)
    return Response(generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
