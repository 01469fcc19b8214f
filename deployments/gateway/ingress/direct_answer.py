"""Answers of the paths that do without FastAPI's machinery, in the shape that FastAPI's have."""

import logging
import time
from collections.abc import Awaitable, Callable

from starlette.types import Scope, Send

from deployments.api.errors import RefusedError
from deployments.gateway.bodies.reader import GONE, ClientGoneError
from deployments.gateway.ingress.ingress import (
    JSON_TYPE,
    Observe,
    extra_headers,
    internal_error,
    request_id_of,
)
from deployments.gateway.ingress.one_write import Header, send_at_once

log = logging.getLogger(__name__)


async def answer_directly(
    scope: Scope, send: Send, path: str, observe: Observe, content: Callable[[], Awaitable[bytes]]
) -> None:
    """Send the content, or why there is none; it counts as an answer of `path`."""
    started = time.perf_counter()
    status, body, more = await _answer(scope, content)
    length = (b"content-length", b"%d" % len(body))
    if scope["method"] == "HEAD":
        body = b""
    # In the order in which Starlette writes them.
    await send_at_once(send, status, [*more, length, JSON_TYPE], body)
    observe(path, status, time.perf_counter() - started)


async def _answer(
    scope: Scope, content: Callable[[], Awaitable[bytes]]
) -> tuple[int, bytes, list[Header]]:
    try:
        return 200, await content(), []
    except ClientGoneError:
        return GONE, b"", []
    except RefusedError as error:
        refusal = error
    except Exception:
        log.exception("A request failed")
        refusal = internal_error()
    return refusal.status, refusal.body(request_id_of(scope)), extra_headers(refusal)
