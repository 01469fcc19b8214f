"""What a lookup costs in processor time, in each process that it goes through, without a cluster.

    python -m benchmarks.speed.decisions fill --home HOME --decisions 300000
    python -m benchmarks.speed.decisions costs --home HOME

Left out are Ray's call between the two, HAProxy and the client. Redis is a real one, and its time
is not counted: only that of this process, all threads of the engine among them.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from redis.asyncio import Redis
from starlette.types import ASGIApp, Message, Scope

from access.keys import IssuedKey, KeyRing, Role, issue_key
from benchmarks.speed.redis_server import redis_running
from deployments.gateway.admission.admission import Admission
from deployments.gateway.app import build_app
from deployments.gateway.decisions.lookups import LIMITS, DecisionLookups
from deployments.gateway.decisions.path import DecisionPath
from deployments.gateway.ingress.ingress import InferenceIngress
from deployments.history.questions import FoundDecisions
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.lookup import Lookup

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ROW = b" " * 1_400
CLIENTS = 24
PARTS = 10
# How long an answer is on its way to a client, and that client's next question to the gateway.
FASTEST_S, SLOWEST_S = 0.0005, 0.003


def costs(home: Path, ids: Sequence[str]) -> None:
    asyncio.run(_gateway(ids))
    with (
        tempfile.TemporaryDirectory(prefix="bench-lookups-") as folder,
        redis_running(Path(folder) / "redis.log") as socket,
    ):
        asyncio.run(_history(home, socket, ids))


async def _gateway(ids: Sequence[str]) -> None:
    key = issue_key(Role.VIEWER, "bench", NOW, lambda n: b"k" * n)
    ring = KeyRing([key.record])
    admission = Admission(lambda: ring)
    lookups = DecisionLookups(time.monotonic, FromMemory())
    context: Any = SimpleNamespace(
        families={}, observe=lambda *_: None, lookups=lookups, admission=admission
    )
    app = build_app(context)
    own = DecisionPath(app, lookups, admission, context.observe)
    dice = random.Random(1)  # noqa: S311 - a bench's dice
    scopes = [_scope(key, dice.choice(ids)) for _ in range(CLIENTS)]
    for name, rest in (("FastAPI's route", app), ("a path of its own", own)):
        ingress = InferenceIngress(rest, [], context.observe)

        async def ask(ingress: ASGIApp = ingress) -> None:
            await asyncio.gather(*(_ask_once(ingress, scope) for scope in scopes))

        microseconds = await _processor_s(ask, 20) / CLIENTS * 1e6
        print(f"gateway, {name:>17}: {microseconds:6.0f} us a lookup", flush=True)


class FromMemory:
    """Knows every decision at once."""

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        await asyncio.sleep(0)
        return FoundDecisions(dict.fromkeys(decision_ids, ROW))

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        del within_s  # it is there at once
        return FoundDecisions({decision_id: ROW})


class FromLedger:
    """The ledger in this process; notes how many decisions each question was of."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.sizes: list[int] = []

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        self.sizes.append(len(decision_ids))
        return FoundDecisions((await self._lookup.rows(decision_ids)).rows)

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        return FoundDecisions((await self._lookup.search(decision_id, within_s)).rows)


def _scope(key: IssuedKey, decision_id: str) -> Scope:
    path = f"/decisions/{decision_id}"
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"x-api-key", key.presented.encode())],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
    }


async def _ask_once(app: ASGIApp, scope: Scope) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(dict(scope), receive, send)
    if (sent[0]["status"], sent[1]["body"]) != (200, ROW):
        raise SystemExit(f"{scope['path']} was answered {sent}")


async def _history(home: Path, socket: Path, ids: Sequence[str]) -> None:
    redis = Redis(unix_socket_path=str(socket))
    with EmbeddedClickhouse(home / "history") as store:
        lookup = Lookup(redis, store, stream="bench:ledger")
        for together in (1, 8, 12, 24, 64):
            await _questions_of(lookup, ids, together)
        for beside in (1, LIMITS.rows_beside_another) * 2:
            await _clients_on_the_lane(lookup, ids, beside)
    await redis.aclose()


async def _questions_of(lookup: Lookup, ids: Sequence[str], together: int) -> None:
    dice = random.Random(1)  # noqa: S311 - a bench's dice

    async def ask() -> None:
        found = await lookup.rows(dice.sample(ids, together))
        if len(found.rows) != together:
            raise SystemExit(f"{together - len(found.rows)} of {together} were not found")

    ms = await _processor_s(ask, 30) * 1e3
    print(
        f"history, {together:>2} ids: {ms:5.2f} ms a question, "
        f"{ms / together * 1e3:6.0f} us a lookup"
    )


async def _processor_s(ask: Callable[[], Awaitable[None]], calls: int) -> float:
    """Give the median of some runs: the processor's time for one call."""
    await ask()
    took = []
    for _ in range(PARTS):
        used = time.process_time()
        for _ in range(calls):
            await ask()
        took.append((time.process_time() - used) / calls)
    return statistics.median(took)


async def _clients_on_the_lane(lookup: Lookup, ids: Sequence[str], beside: int) -> None:
    """Let clients look up one after another; so many ids go beside a question on its way."""
    dice = random.Random(1)  # noqa: S311 - a bench's dice
    ledger = FromLedger(lookup)
    limits = replace(LIMITS, rows_beside_another=beside)
    lookups = DecisionLookups(time.monotonic, ledger, limits=limits)
    waited: list[float] = []

    async def client(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(dice.uniform(FASTEST_S, SLOWEST_S))
            started = time.perf_counter()
            await lookups.row(dice.choice(ids))
            waited.append(time.perf_counter() - started)

    await asyncio.gather(*(client(10) for _ in range(CLIENTS)))
    ledger.sizes.clear()
    waited.clear()
    used, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(client(150) for _ in range(CLIENTS)))
    used, seconds = time.process_time() - used, time.perf_counter() - started
    waited.sort()
    print(
        f"{CLIENTS} clients, {beside:>2} go beside another: "
        f"{statistics.mean(ledger.sizes):4.1f} ids a question, "
        f"{used / len(waited) * 1e6:5.0f} us a lookup; {len(waited) / seconds:5.0f} a second, "
        f"p50 {waited[len(waited) // 2] * 1e3:.1f} ms, "
        f"p99 {waited[int(len(waited) * 0.99)] * 1e3:.1f} ms",
        flush=True,
    )
