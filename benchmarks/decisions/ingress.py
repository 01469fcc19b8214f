"""One inference request in the gateway's process: through the ingress, and through FastAPI.

Both check the key, validate the same body and answer the same bytes; the lane and the stages are
left out, and so is Serve: what the shortcut saves comes on top (`make bench` shows the whole).
"""

import asyncio
import statistics
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from access.keys import IssuedKey, KeyRing, Role, issue_key
from benchmarks.decisions.figures import is_quick, show
from config_store.shipped import default_document
from config_store.store import Version
from deployments.api.tail import TAIL, TailBody
from deployments.gateway.admission.admission import Admission
from deployments.gateway.ingress.ingress import InferenceIngress, InferencePath
from deployments.gateway.lanes.lanes import Lanes
from deployments.gateway.pipeline.answers import Answered
from deployments.gateway.steering.choice import VersionChoice
from deployments.runtime.clocks import SystemClocks

NOW = datetime(2026, 3, 2, tzinfo=UTC)
BODY = orjson.dumps({"entity": "order-gateway", "load": 0.8, "infra": 0.4, "slo_ms": 20})
ANSWER = orjson.dumps({"data": {"p99_pred": 12.5}, "meta": {"decision_id": "x" * 36}})
PARTS = 10


async def at_once(asks: list[Any]) -> list[Answered]:
    """Stand where the pipeline stands."""
    return [Answered("", ANSWER) for _ in asks]


def open_lanes() -> Lanes:
    document = default_document()
    version = Version(1, document.config_hash, "bench", "bench", NOW, document)
    pipeline: Any = SimpleNamespace(carry=at_once)
    choice = VersionChoice(lambda: version, time.time)
    return Lanes({TAIL.name: pipeline}, choice, SystemClocks())


def our_ingress(admission: Admission, lanes: Lanes) -> ASGIApp:
    return InferenceIngress(FastAPI(), [InferencePath(TAIL, lanes, admission)], lambda *_: None)


def plain_fastapi(admission: Admission, lanes: Lanes) -> ASGIApp:
    app = FastAPI()

    def admitted(request: Request) -> Any:
        return admission.admit(request.scope["headers"], Role.CLIENT)

    @app.post(TAIL.path)
    async def infer(body: TailBody, principal: Annotated[Any, Depends(admitted)]) -> Response:
        (answer,) = await lanes.ask(TAIL.name, (body,), principal, time.monotonic(), "")
        return Response(answer.envelope, media_type="application/json")

    return app


def scope_with(key: IssuedKey) -> Scope:
    headers = [
        (b"host", b"127.0.0.1"),
        (b"x-api-key", key.presented.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(BODY)).encode()),
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": TAIL.path,
        "raw_path": TAIL.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
    }


async def ask_once(app: ASGIApp, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(dict(scope), receive, send)
    return sent


async def measured(name: str, app: ASGIApp, scope: Scope, calls: int) -> list[str]:
    start, end = await ask_once(app, scope)
    if (start["status"], end["body"]) != (200, ANSWER):
        raise SystemExit(f"{name} answered {start} {end}")
    cpu = []
    for _ in range(PARTS):
        used = time.process_time()
        for _ in range(calls // PARTS):
            await ask_once(app, scope)
        cpu.append((time.process_time() - used) / (calls // PARTS) * 1e6)
    return [name, f"{statistics.median(cpu):.0f}"]


async def run(*, quick: bool) -> None:
    key = issue_key(Role.CLIENT, "bench", NOW, lambda n: b"k" * n)
    admission, lanes = Admission(lambda: KeyRing([key.record])), open_lanes()
    calls = 300 if quick else 5_000
    scope = scope_with(key)
    rows = [
        await measured("the ingress", our_ingress(admission, lanes), scope, calls),
        await measured("a FastAPI route", plain_fastapi(admission, lanes), scope, calls),
    ]
    show("A request with its key, its validation and its answer", ("", "CPU µs"), rows)


if __name__ == "__main__":
    asyncio.run(run(quick=is_quick(__doc__)))
