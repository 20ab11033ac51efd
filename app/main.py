"""The composition root: builds the application out of its parts. Nothing imports it but the command line."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from app.access.authentication import Authentication
from app.access.keys import ensure_first_key
from app.access.links import RunLinks
from app.access.oidc import Issuer
from app.access.tokens import Tokens
from app.access.turns import Turns
from app.api import (
    accounts,
    api_keys,
    applications,
    audit,
    catalog,
    certifications,
    connectors,
    contracts,
    credentials,
    deliveries,
    docs,
    erasure,
    events,
    exemptions,
    fields,
    grouping,
    health,
    history,
    instances,
    isc,
    jwks,
    licences,
    links,
    mapping,
    notifications,
    oauth,
    openapi,
    overview,
    people,
    plans,
    problems,
    report_runs,
    reports,
    source_mappings,
    syncs,
    webhooks,
)
from app.api.direct import Direct
from app.api.health import Metrics
from app.api.middleware import BodyLimit, Edge, Faults, Gate
from app.api.traces import Traced
from app.core import tracing
from app.core.settings import Settings
from app.sync.runtime import Runtime

Background = Callable[[], AbstractAsyncContextManager[object]]
_DESCRIPTION = "Who has a seat where, and on which days it is used."
# The lists that are asked for most stand first: each router before the right one costs its requests a little.
_NOUNS = (
    accounts,
    people,
    erasure,
    syncs,
    applications,
    instances,
    plans,
    licences,
    overview,
    reports,
    report_runs,
    links,
    connectors,
    credentials,
    mapping,
    grouping,
    history,
    fields,
    catalog,
    contracts,
    exemptions,
    isc,
    source_mappings,
    certifications,
    jwks,
    events,
    webhooks,
    deliveries,
    notifications,
    api_keys,
    audit,
    oauth,
    health,
)
_EXPOSED = [
    "X-Request-Id",
    "ETag",
    "Location",
    "Link",
    "Retry-After",
    "Idempotent-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Content-Disposition",
]


def create_app(runtime: Runtime, *, background: Sequence[Background] = ()) -> FastAPI:
    """The application on an open runtime.

    background  what runs beside it (scheduler, workers): each is entered at start, in order, and left at the end.
    Setting `app.state.gate.draining` lets no new request in.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        first_key = await ensure_first_key(runtime.database, runtime.settings)
        if first_key is not None:
            sys.stdout.write(f"The first API key, with the role admin, shown only now: {first_key}\n")
            sys.stdout.flush()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(turns.close)
            await stack.enter_async_context(_beside(background))
            yield

    metrics, gate, turns = Metrics(), Gate(), Turns(runtime.database)
    app = FastAPI(
        title="Seatwise",
        description=_DESCRIPTION,
        version=version("seatwise"),
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            *_traced(),
            Middleware(Edge, metrics=metrics),
            *_cors(runtime.settings),
            Middleware(Faults, gate=gate),
            Middleware(BodyLimit),
            Middleware(Direct, runtime=runtime, routers=[noun.router for noun in _NOUNS]),
        ],
    )
    app.state.runtime = runtime
    tokens = Tokens(runtime.database, runtime.vault)
    app.state.authentication = Authentication(runtime.database, tokens, Issuer(runtime.settings))
    app.state.run_links = RunLinks(runtime.database, runtime.vault)
    app.state.metrics = metrics
    app.state.gate = gate
    app.state.turns = turns
    app.state.token_failures = oauth.Failures()
    problems.install(app)
    openapi.install(app)
    docs.install(app)
    for noun in _NOUNS:
        # As they are: an included router is matched once more for each request that is not its own.
        app.router.routes.extend(noun.router.routes)
    return app


def create_probes(runtime: Runtime, *, background: Sequence[Background] = ()) -> FastAPI:
    """What a process without the API answers: whether it lives and is ready, and its figures. Else as `create_app`."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with _beside(background):
            yield

    metrics, gate = Metrics(), Gate()
    app = FastAPI(
        title="Seatwise, worker",
        lifespan=lifespan,
        openapi_url=None,
        middleware=[Middleware(Edge, metrics=metrics), Middleware(Faults, gate=gate), Middleware(BodyLimit)],
    )
    app.state.runtime = runtime
    app.state.metrics = metrics
    app.state.gate = gate
    problems.install(app)
    app.include_router(health.router)
    return app


@asynccontextmanager
async def _beside(background: Sequence[Background]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for begin in background:
            await stack.enter_async_context(begin())
        yield


def _traced() -> list[Middleware]:
    return [Middleware(Traced)] if tracing.is_on() else []


def _cors(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
        )
    ]
