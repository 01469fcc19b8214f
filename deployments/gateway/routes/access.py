"""Checks the key of every FastAPI route against the role that its endpoint needs."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.routing import Route

from access.endpoints import needed_role
from access.keys import Principal, Role
from deployments.gateway.context import GatewayContext


# FastAPI would run plain functions in a thread each.
async def context_of(request: Request) -> GatewayContext:
    found: GatewayContext = request.app.state.context
    return found


async def admitted(
    request: Request, context: Annotated[GatewayContext, Depends(context_of)]
) -> Principal:
    route = request.scope["route"]
    path = route.path if isinstance(route, Route) else request.url.path
    needed = needed_role(request.method, path) or Role.VIEWER
    return context.admission.admit(request.scope["headers"], needed)


Here = Annotated[GatewayContext, Depends(context_of)]
