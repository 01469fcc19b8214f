"""The FastAPI side of the gateway: every path that is not a hot one."""

import logging
import time

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.errors import (
    InvalidError,
    MethodNotAllowedError,
    NotFoundError,
    RefusedError,
)
from deployments.api.front_ids import front_id, given_id
from deployments.gateway.bodies.reader import GONE, ClientGoneError, fields_of
from deployments.gateway.bodies.routes import is_read_by_its_route
from deployments.gateway.context import GatewayContext
from deployments.gateway.decisions.path import DecisionPath
from deployments.gateway.documentation import openapi
from deployments.gateway.features.vectors_path import VectorsPath
from deployments.gateway.ingress.ingress import (
    InferenceIngress,
    InferencePath,
    Observe,
    extra_headers,
    internal_error,
    request_id_of,
)
from deployments.gateway.ingress.small_bodies import SmallBodies
from deployments.gateway.routes import (
    config,
    config_changes,
    config_evidence,
    config_impact,
    config_past,
    config_rollouts,
    datasets,
    decisions,
    documentation,
    experiments,
    features,
    gate,
    importance,
    monitoring,
    outcomes,
    platform,
    policy_check,
    posted_logs,
    remote_write,
    sources,
    streams,
    studies,
    telemetry,
    timeline,
)
from deployments.gateway.routes import safety as safety_routes
from deployments.runtime.version import VERSION

log = logging.getLogger(__name__)


def build_ingress(context: GatewayContext) -> InferenceIngress:
    """Put what answers by itself before FastAPI; in `plain` only the families' endpoints do."""
    front = not context.settings.plain
    rest: ASGIApp = build_app(context, front=front)
    if not context.settings.plain:
        rest = VectorsPath(rest, context.vectors, context.admission, context.observe)
        rest = DecisionPath(rest, context.lookups, context.admission, context.observe)
    paths = [
        InferencePath(family, context.lanes, context.admission, front=front)
        for family in context.families.values()
    ]
    one_write = not context.settings.plain
    return InferenceIngress(rest, paths, context.observe, context.up_to_date, one_write=one_write)


def build_app(context: GatewayContext, *, front: bool = True) -> FastAPI:
    """Put the routes together; only behind a front are requests known by its ids."""
    app = FastAPI(
        title="Ballast",
        version=VERSION,
        summary="Model serving for the people who keep a trading platform upright.",
        servers=[{"url": "/"}, {"url": "/api/v1"}],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.context = context
    app.include_router(platform.open_router)
    app.include_router(documentation.router)
    rooms = (
        platform,
        decisions,
        config,
        config_changes,
        config_impact,
        config_rollouts,
        config_evidence,
        config_past,
        safety_routes,
        policy_check,
        monitoring,
        streams,
        gate,
        outcomes,
        experiments,
        studies,
        telemetry,
        sources,
        features,
        importance,
        datasets,
        posted_logs,
        remote_write,
        timeline,
    )
    for room in rooms:
        app.include_router(room.router)
    _answer_in_one_shape(app)
    openapi.describe(app, context.families)
    app.add_middleware(SmallBodies)
    app.add_middleware(Counted, observe=context.observe)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodiesAreJson)
    if front:
        app.add_middleware(KnowsSentAgain)
    return app


def _answer_in_one_shape(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    async def refused(request: Request, refusal: RefusedError) -> Response:
        return _response(request, refusal)

    @app.exception_handler(ClientGoneError)
    async def gone(_: Request, __: ClientGoneError) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, refusal: RequestValidationError) -> Response:
        found = InvalidError("The request does not fit the contract", fields_of(refusal.errors()))
        return _response(request, found)

    @app.exception_handler(HTTPException)
    async def from_the_router(request: Request, refusal: HTTPException) -> Response:
        if refusal.status_code == MethodNotAllowedError.status:
            found: RefusedError = MethodNotAllowedError("This path does not accept that method")
            return _response(request, found, {"allow": ", ".join(_methods_of(request))})
        return _response(request, NotFoundError("There is nothing at this path; see /docs"))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        log.error("A request failed", exc_info=error)
        return _response(request, internal_error())


def _methods_of(request: Request) -> list[str]:
    """Name the methods of every route of this path's template; the router names the first's alone.

    A name may hold slashes, so `/experiments/{id}` matches `/experiments/a/arms/b` as well: what
    counts is the template that the router comes to first.
    """
    path = request.scope["path"]
    matching = [
        each for each in iter_route_contexts(request.app.routes) if each.path_regex.match(path)
    ]
    found: set[str] = set()
    for route in matching:
        if route.path_regex.pattern == matching[0].path_regex.pattern:
            found |= route.methods or set()
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _response(
    request: Request, refusal: RefusedError, headers: dict[str, str] | None = None
) -> Response:
    extra = {name.decode(): value.decode() for name, value in extra_headers(refusal)}
    return Response(
        refusal.body(request_id_of(request.scope)),
        refusal.status,
        extra | (headers or {}),
        media_type="application/json",
    )


class HeadAsGet:
    """Answers HEAD as GET without the body, which FastAPI leaves out: monitors ask that way.

    The answer ends with its head. To HAProxy it does so in any case, and HAProxy sends the next
    client's request over the same connection: it must not wait there for the end of a stream.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self._app({**scope, "method": "GET"}, receive, without_body)


class BodiesAreJson:
    """Reads every body as JSON, whatever it is called: `curl -d` calls it a form.

    The families' endpoints go by this already. Only the sign-in to the documentation is a form, and
    telemetry may be CSV.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._has_another_form(scope):
            others = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
            scope = {**scope, "headers": [*others, (b"content-type", b"application/json")]}
        await self._app(scope, receive, send)

    @staticmethod
    def _has_another_form(scope: Scope) -> bool:
        path: str = scope["path"]
        return path.endswith("/docs/sign-in") or is_read_by_its_route(scope)


class KnowsSentAgain:
    """Notes the id by which a request is known where the front sends it once more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = given_id(scope["headers"]) if scope["type"] == "http" else ""
        before = front_id.set(given)  # of a connection's request before, in the same context
        try:
            await self._app(scope, receive, send)
        finally:
            front_id.reset(before)


class Counted:
    """Counts and times requests by their route, never by their path: ids must not become labels."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "unmatched")
            self._observe(path, status, time.perf_counter() - started)
