"""`GET /decisions/{id}` without FastAPI's machinery, which costs more than the rest of a lookup.

What it answers is what FastAPI's route of that path answers, byte for byte; a test holds the two
against each other. Whatever is no plain lookup of a well-formed id is left to FastAPI.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from access.endpoints import needed_role
from access.keys import Role
from deployments.api.endpoint import DECISION_ID
from deployments.gateway.admission.admission import Admission
from deployments.gateway.decisions.lookups import DecisionLookups
from deployments.gateway.ingress.direct_answer import answer_directly
from deployments.gateway.ingress.ingress import Observe

PATH = "/decisions/{id}"
_TAKEN = re.compile("/decisions/(" + DECISION_ID + ")", re.ASCII)
# A request with a body has one of them. FastAPI's side reads it, and refuses one that is too large.
_OF_BODIES = frozenset({b"content-length", b"transfer-encoding"})


class DecisionPath:
    """Stands before the app and takes what it can answer itself."""

    def __init__(
        self, rest: ASGIApp, lookups: DecisionLookups, admission: Admission, observe: Observe
    ) -> None:
        self._rest = rest
        self._lookups = lookups
        self._admission = admission
        self._observe = observe
        self._role = needed_role("GET", PATH) or Role.VIEWER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        decision_id = _id_in(scope)
        if decision_id is None:
            await self._rest(scope, receive, send)
            return

        async def content() -> bytes:
            principal = self._admission.admit(scope["headers"], self._role)
            return await self._lookups.row(decision_id, principal.key_id)

        await answer_directly(scope, send, PATH, self._observe, content)


def _id_in(scope: Scope) -> str | None:
    """Give the decision's id where the request is a lookup, and has no body."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    found = _TAKEN.fullmatch(scope["path"])
    if found is None or any(name in _OF_BODIES for name, _ in scope["headers"]):
        return None
    return found[1]
