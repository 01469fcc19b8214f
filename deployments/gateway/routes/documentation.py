"""`/docs`, `/redoc`, `/openapi.json`, and the sign-in to them where strangers could come by.

The public port decides, not the client's address: behind HAProxy every client looks local.
"""

import asyncio
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from access.keys import Role
from deployments.api.errors import UnauthorizedError
from deployments.gateway.bodies.reader import read_body
from deployments.gateway.context import GatewayContext
from deployments.gateway.documentation.assets import asset
from deployments.gateway.documentation.pages import (
    HEADERS,
    redoc_page,
    sign_in_page,
    swagger_page,
)
from deployments.gateway.documentation.sessions import COOKIE, SESSION_SECONDS, is_loopback
from deployments.gateway.routes.access import Here

router = APIRouter(include_in_schema=False)

PAGES = {"/docs": swagger_page, "/redoc": redoc_page}
# The address names the content (see `address`), so it never changes.
KEPT = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
KEY_HEADERS = ("x-api-key", "authorization")


@router.get("/docs")
async def docs(request: Request, here: Here) -> HTMLResponse:
    return await _page("/docs", request, here)


@router.get("/redoc")
async def redoc(request: Request, here: Here) -> HTMLResponse:
    return await _page("/redoc", request, here)


@router.get("/openapi.json")
async def description(request: Request, here: Here) -> JSONResponse:
    _admit(request, here)
    return JSONResponse(request.app.openapi(), headers={"cache-control": "no-store"})


@router.get("/docs/assets/{name}")
async def assets(name: str) -> Response:
    """Serve a file of a public package: there is nothing in it to keep from anybody."""
    found = await asyncio.to_thread(asset, name)
    return Response(found.content, media_type=found.media_type, headers=KEPT)


@router.post("/docs/sign-in")
async def sign_in(request: Request, here: Here) -> Response:
    form = parse_qs((await read_body(request.receive)).decode("utf-8", "replace"))
    wanted = form.get("page", ["/docs"])[0]
    page = wanted if wanted in PAGES else "/docs"
    presented = form.get("key", [""])[0].strip().encode()
    try:
        principal = here.admission.admit([(b"x-api-key", presented)], Role.VIEWER)
    except UnauthorizedError:
        return sign_in_page(page, "This key is unknown or revoked.")
    answer = RedirectResponse(page, 303, headers=HEADERS)
    answer.set_cookie(
        COOKIE,
        here.sessions.begin(principal),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def _page(path: str, request: Request, here: GatewayContext) -> HTMLResponse:
    try:
        _admit(request, here)
    except UnauthorizedError:
        if any(name in request.headers for name in KEY_HEADERS):
            raise  # a program asked, and wants no form
        return await asyncio.to_thread(sign_in_page, path)
    return await asyncio.to_thread(PAGES[path])


def _admit(request: Request, here: GatewayContext) -> None:
    """Let in who needs no key, who signed in, and who sends a key; refuse all others."""
    if is_loopback(here.settings.host) or here.sessions.holds(request.cookies.get(COOKIE)):
        return
    here.admission.admit(request.scope["headers"], Role.VIEWER)
