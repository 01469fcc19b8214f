"""The ingress: an ASGI app that takes the inference paths itself and leaves the rest to FastAPI.

FastAPI's layers cost more than the whole of our own work on a small request, so the paths that
carry the load are read, checked and answered here; the same lanes are behind both.
"""

import logging
import secrets
import time
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from access.endpoints import V1, needed_role
from access.keys import Role
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.errors import MethodNotAllowedError, RefusedError
from deployments.api.front_ids import decisions_of, given_id
from deployments.gateway.admission.admission import Admission
from deployments.gateway.bodies.reader import GONE, BodyReader, ClientGoneError, read_body
from deployments.gateway.bodies.room import BodyPermit
from deployments.gateway.bodies.routes import is_read_by_its_route
from deployments.gateway.ingress.one_write import Header, in_pieces, send_at_once
from deployments.gateway.lanes.lanes import Lanes
from deployments.gateway.large_requests.answers import (
    PIECE_BYTES,
    length_of,
    pieces_of,
    send_pieces,
)
from observability.logs import request_ids

log = logging.getLogger(__name__)

# Where a request's id is kept while it is handled.
REQUEST_ID = "ballast.request_id"
JSON_TYPE = (b"content-type", b"application/json")
# Each of them waits for one answer of the history, and holds no slot of a replica meanwhile.
LOOKUPS = "/decisions/"
# The front asks here whether a gateway goes by all that holds now; clients cannot.
UP_TO_DATE = "/-/up-to-date"
Observe = Callable[[str, int, float], None]


class InferencePath:
    """One family's hot path."""

    def __init__(
        self,
        family: InferenceEndpoint,
        lanes: Lanes,
        admission: Admission,
        *,
        front: bool = False,
    ) -> None:
        """Take whether a front gives requests their ids, by which state counts each one once."""
        self._sent_again = front and family.key is not None
        self.path = family.path
        self._role = needed_role("POST", family.path) or Role.ADMIN
        self._family = family.name
        self._lanes = lanes
        self._admission = admission
        self._reader = BodyReader(family)

    async def answer(self, scope: Scope, receive: Receive) -> tuple[Sequence[bytes], bool]:
        """Give an envelope for each row, and whether they leave as a list."""
        # The key comes first: what a stranger sends is not even read.
        principal = self._admission.admit(scope["headers"], self._role)
        with BodyPermit(self._lanes.room, principal.key_id) as permit:
            raw = await read_body(receive, large=permit.take)
            # A slow upload is the client's own time; what follows is ours.
            received = self._lanes.now()
            bodies, as_list = await self._reader.read_in_turns(raw, self._lanes.turns)
        self._admission.admit_rows(principal, len(bodies))
        answers = await self._lanes.ask(
            self._family,
            bodies,
            principal,
            received,
            request_id_of(scope),
            decisions_of(given_id(scope["headers"]), len(bodies)) if self._sent_again else (),
        )
        if not as_list and answers[0].refusal is not None:
            raise answers[0].refusal
        return [answer.envelope for answer in answers], as_list

    async def send(self, send: Send, envelopes: Sequence[bytes], *, as_list: bool) -> None:
        if not as_list:
            await respond(send, 200, envelopes[0], [])
        elif (length := length_of(envelopes)) <= PIECE_BYTES:
            await respond(send, 200, b"".join(pieces_of(envelopes)), [])
        else:
            await send(
                {"type": "http.response.start", "status": 200, "headers": _headers(length, [])}
            )
            await send_pieces(send, envelopes, self._lanes.turns)


class InferenceIngress:
    """Routes by exact path; counts and times what it answers itself."""

    def __init__(
        self,
        rest: ASGIApp,
        paths: list[InferencePath],
        observe: Observe,
        up_to_date: Callable[[], bool] = lambda: True,
        *,
        one_write: bool = True,
    ) -> None:
        """Take whether answers go past uvicorn's own `send`, in one write."""
        self._rest = rest
        self._one_write = one_write
        self._up_to_date = up_to_date
        self._paths = {prefix + path.path: path for path in paths for prefix in ("", V1)}
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        if not self._one_write:
            send = in_pieces(send)
        # A connection's next request may run in the context of the one before.
        before = request_ids.set((request_id_of(scope),))
        try:
            await self._route(scope, receive, send)
        finally:
            request_ids.reset(before)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._paths.get(scope["path"])
        if path is not None and scope["method"] == "POST":
            await self._infer(path, scope, receive, send)
        elif path is not None:
            await self._refuse_method(scope, send)
        elif scope["path"] == UP_TO_DATE:
            await self._say_whether_up_to_date(send)
        elif scope["path"].startswith(V1 + "/"):
            await self._rest(without_prefix(scope), receive, send)
        else:
            await self._rest(scope, receive, send)

    async def _say_whether_up_to_date(self, send: Send) -> None:
        if self._up_to_date():
            await respond(send, 200, b'{"up_to_date":true}', [])
        else:
            await respond(send, 503, b'{"up_to_date":false}', [])

    async def _refuse_method(self, scope: Scope, send: Send) -> None:
        refusal = MethodNotAllowedError("This path accepts only POST")
        body = refusal.body(request_id_of(scope))
        await respond(send, refusal.status, body, [(b"allow", b"POST")])

    def answers(self, scope: Scope) -> bool:
        """Tell whether an HTTP request is spared Serve's machinery: they come by the thousand."""
        return (
            self.takes(scope)
            or scope["path"].removeprefix(V1).startswith(LOOKUPS)
            or scope["path"] == UP_TO_DATE
            or is_read_by_its_route(scope)  # Serve would first read all of it, however large it is
        )

    def takes(self, scope: Scope) -> bool:
        """Tell whether the ingress answers this HTTP request itself."""
        return scope["method"] == "POST" and scope["path"] in self._paths

    async def _infer(self, path: InferencePath, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            envelopes, as_list = await path.answer(scope, receive)
        except RefusedError as refusal:
            status = refusal.status
            await refuse(send, refusal, request_id_of(scope))
        except ClientGoneError:
            status = GONE
        except Exception:
            status = 500
            log.exception("A request failed")
            await refuse(send, internal_error(), request_id_of(scope))
        else:
            status = 200
            await path.send(send, envelopes, as_list=as_list)
        self._observe(path.path, status, time.perf_counter() - started)


def without_prefix(scope: Scope) -> Scope:
    """Serve every path under /api/v1 too."""
    path: str = scope["path"]
    return {**scope, "path": path[len(V1) :], "raw_path": path[len(V1) :].encode()}


def request_id_of(scope: Scope) -> str:
    """Take over the caller's request id, so that its logs and ours can be joined, or make one."""
    known: str | None = scope.get(REQUEST_ID)
    if known is None:
        known = scope[REQUEST_ID] = _given_id(scope) or secrets.token_hex(16)
    return known


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= 64:  # noqa: PLR2004 - long enough for any UUID
            text = _text(value)
            if text.isprintable():
                return text
    return None


def _text(header: bytes) -> str:
    """Read a header as what most clients send, or else as what HTTP once said it is."""
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")


def internal_error() -> RefusedError:
    """Say that a request failed, and nothing of how: the log has that."""
    return RefusedError("An internal error occurred: look for this request id in the log")


async def refuse(send: Send, refusal: RefusedError, request_id: str) -> None:
    await respond(send, refusal.status, refusal.body(request_id), extra_headers(refusal))


def extra_headers(refusal: RefusedError) -> list[Header]:
    headers = []
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    if refusal.status == 401:  # noqa: PLR2004 - unauthorized must name its scheme
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


async def respond(send: Send, status: int, body: bytes, headers: Sequence[Header]) -> None:
    await send_at_once(send, status, _headers(len(body), headers), body)


def _headers(length: int, more: Sequence[Header]) -> list[Header]:
    return [JSON_TYPE, (b"content-length", b"%d" % length), *more]
