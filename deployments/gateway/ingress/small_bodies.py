"""Bounds the body of every request that neither the ingress nor its route reads itself.

FastAPI and Serve take in a whole body, of any size, before anybody has asked for the key.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.errors import RefusedError
from deployments.gateway.bodies.reader import ClientGoneError, read_body
from deployments.gateway.bodies.routes import is_read_by_its_route
from deployments.gateway.ingress.ingress import refuse, request_id_of

# An outcome, a deploy to be judged, a form to sign in: none has more than a few hundred bytes.
MOST_BYTES = 16 * 1024


class SmallBodies:
    """Reads the body before the app does, and refuses one that is too large or too slow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_read_by_its_route(scope):
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(receive, most_bytes=MOST_BYTES)
        except RefusedError as refusal:
            await refuse(send, refusal, request_id_of(scope))
            return
        except ClientGoneError:
            return
        await self._app(scope, _after(body, receive), send)


def _after(body: bytes, receive: Receive) -> Receive:
    """Give the body again, and then whatever else comes."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again
