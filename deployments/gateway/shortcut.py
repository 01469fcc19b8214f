"""Takes the inference paths to the ingress before Serve's own machinery sees them.

For each request Serve makes a context, two tasks, a log record and a handful of metrics, which
together cost more than our answer. Serve lets a middleware stand in front of that, in the replica
as in its proxies; this one hands the hot paths straight to the ingress of its process, and
passes on whatever it does not know. Serve would read the body of that to its end, however large
it is, so only small ones are passed on. docs/decisions/the-gateway-shortcut.md has the figures.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.gateway.ingress.ingress import InferenceIngress
from deployments.gateway.ingress.small_bodies import SmallBodies

# One gateway replica lives in a process; elsewhere, as in Serve's proxies, there is none.
_ingresses: list[InferenceIngress] = []


def open_shortcut(ingress: InferenceIngress) -> None:
    _ingresses[:] = [ingress]


class Shortcut:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._small = SmallBodies(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _ingresses and scope["type"] == "http" and _ingresses[0].answers(scope):
            await _ingresses[0](scope, receive, send)
        else:
            await (self._small if _ingresses else self._app)(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Name the middlewares; Serve asks by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    return [Middleware(Shortcut)]
