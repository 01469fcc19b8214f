"""What this checkout takes for a tail-slo batch; `hot_path.py` runs it, one process a checkout.

The file is run by its path with another checkout's code beside it, so what is newer than that code
is asked for by name and left out where it is not there. On each line that comes in, one part of
every case is timed.
"""

import asyncio
import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from access.keys import Principal, Role
from config_store.document import Deadlines
from config_store.shipped import default_document
from config_store.store import Version
from deployments.api.tail import FEATURES, TAIL, TailBody
from deployments.runtime.batch import Batch, Prediction, filled_to_frame
from deployments.runtime.clocks import SystemClocks
from deployments.runtime.transport.frame import ANSWER, ASK, Frame, body_of, decode, encode
from deployments.safety.deployment import Safety
from features.fill import Filled
from observability.ledger.decision import DecisionIds
from observability.metrics import Metrics
from settings.environment import Settings

ROWS = (1, 8, 64)
# So short that the least of many pieces was disturbed by nobody.
PIECES, PIECE_SECONDS = 4, 0.0005
HOUR_MS = 3_600_000.0
NOW = datetime(2026, 3, 2, tzinfo=UTC)
FILLED = {
    "load": 0.5,
    "infra": 0.4,
    "request_rate": 1200.0,
    "error_rate": 0.002,
    "active_workers": 10.0,
    "baseline_ms": 20.0,
    "baseline_rate": 1000.0,
}
PREDICTED = {
    "p50_pred": 21.0,
    "p95_pred": 70.0,
    "p99_pred": 130.0,
    "p999_pred": 310.0,
    "lower": 90.0,
    "upper": 200.0,
    "breach_probability": 0.08,
    "action": 0.0,
    "autoscale_workers": 12.0,
    "admit_fraction": 1.0,
}
# Wider than three times its prediction, which the policy lets leave with a warning.
WIDE = {"lower": 10.0, "upper": 420.0}


class Case(NamedTuple):
    """Something to time: what it is, of how many rows, and one call of it."""

    name: str
    rows: int
    call: Callable[[], Awaitable[object]]


class MemoryLedger:
    """A ledger that has written everything at once."""

    degraded = False

    async def append(self, decisions: Sequence[object], limit_s: float) -> None:
        del decisions, limit_s


def newer(module: str) -> Any:
    """Give a module that this checkout may not have yet, or None."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


def first_of(*modules: str) -> Any:
    """Give the first of these modules that this checkout has: the newest name comes first."""
    return next(found for each in modules if (found := newer(each)) is not None)


# Checkouts from before the gateway had rooms name these by its own folder.
GATEWAY = "deployments.gateway"
LANES = first_of(f"{GATEWAY}.lanes.lanes", f"{GATEWAY}.lanes")
PIPELINE = first_of(f"{GATEWAY}.pipeline.pipeline", f"{GATEWAY}.pipeline")
TIMINGS = first_of(f"{GATEWAY}.pipeline.timings", f"{GATEWAY}.timings")


def steered_choice() -> Any:
    """Give the module that chooses versions, or None in a checkout from before steering."""
    return newer(f"{GATEWAY}.steering.choice") or newer(f"{GATEWAY}.choice")


def built(make: Callable[..., Any], **offered: Any) -> Any:
    """Call something with those of the arguments that it takes here."""
    taken = inspect.signature(make).parameters
    return make(**{name: each for name, each in offered.items() if name in taken})


def version(number: int = 1) -> Version:
    """Make a version whose deadlines no busy machine reaches."""
    document = default_document()
    tail = document.serving.tail.model_copy(update={"deadlines": Deadlines(request_ms=HOUR_MS)})
    serving = document.serving.model_copy(update={"tail": tail})
    document = document.model_copy(update={"serving": serving})
    return Version(number, document.config_hash, "bench", "a start", NOW, document)


def state(**more: Any) -> Any:
    """Make a steering state in which nothing is the matter, where there are such states."""
    found = newer("config_store.steering.state")
    if found is None:
        return None
    life = {
        "content_hash": version().config_hash,
        "author": "ada",
        "message": "a start",
        "parent": None,
        "created": 0.0,
        "stage": "active",
    }
    lives = {number: {"number": number, **life} for number in (1, 2)}
    fields = {"revision": 1, "changed": 0.0, "active": 1, "versions": lives} | more
    return found.SteeringState.model_validate(fields)


def canary() -> dict[str, Any]:
    """Say of a rollout that half of all keys see its candidate."""
    return {
        "id": "bench",
        "strategy": "canary",
        "candidate": 2,
        "incumbent": 1,
        "shares": (0.5, 1.0),
        "step": 0,
        "begun": 0.0,
        "step_begun": 0.0,
        "step_deadline": 1e12,
        "ends": 1e12,
        "settings": {},
        "by": "ada",
        "reason": "a bench",
    }


def entities(rows: int) -> list[str]:
    return [f"service-{each}" for each in range(rows)]


def columns(values: dict[str, float], rows: int) -> dict[str, Any]:
    return {name: np.full(rows, value) for name, value in values.items()}


def safety_stage() -> Safety:
    """Make the stage without what it needs to be reached; its Redis is never asked."""
    replica: Any = SimpleNamespace(
        redis=Redis(),
        clocks=SystemClocks(),
        settings=Settings(),
        steering=SimpleNamespace(value=state(), up_to_date=True, was_stopped=False),
        before_snapshot=lambda _: None,
        note_work=lambda: None,
    )
    stage = Safety(replica)
    stage.configure(version())
    return stage


def batch_of(rows: int, **spoiled: float) -> Batch:
    """Make rows that break nothing but what is spoiled."""
    values = FILLED | PREDICTED | {"slo_ms": 250.0} | spoiled
    return Batch("tail", entities(rows), columns(values, rows))


def asked_of_safety(rows: int, **spoiled: float) -> bytes:
    batch = batch_of(rows, **spoiled)
    batch.requests, batch.version, batch.config_hash = ["r"] * rows, 1, version().config_hash
    frame = batch.to_frame()
    frame.head["budget_s"] = 0.9
    return body_of(encode(frame, 1, ASK))


def judging(stage: Safety, asked: bytes) -> Callable[[], Awaitable[bytes]]:
    """Give what the stage does with a batch, from the bytes it gets to those it sends."""

    async def judge() -> bytes:
        _, number, frame = decode(asked)
        return encode(await stage.answer_logged(frame), number, ANSWER)

    return judge


def pipeline(stage: Safety) -> Any:
    """Make the tail family's pipeline; its stages answer at once what was made before."""
    clocks = SystemClocks()
    judged = {
        rows: asyncio.run(stage.answer_logged(decode(asked_of_safety(rows))[2])) for rows in ROWS
    }

    async def fill(frame: Frame, _: float) -> Frame:
        rows = len(frame.head["entities"])
        event_time = np.full(rows, NOW.timestamp())
        return filled_to_frame(Filled(columns(FILLED, rows), {}, {}, event_time, {}))

    async def predict(batch: Batch, _: float) -> Prediction:
        found = columns(PREDICTED, len(batch))
        return Prediction(found, "tail/xgboost-quantile", "1.0.0", digest="d1", version=1)

    async def judge(frame: Frame, _: float) -> Frame:
        rows = len(frame.head["entities"])
        if rows not in judged:
            judged[rows] = await stage.answer_logged(decode(asked_of_safety(rows))[2])
        return judged[rows]

    stages: Any = {"features": fill, "model": predict, "safety": judge}
    return built(
        PIPELINE.InferencePipeline,
        family=TAIL,
        stages=PIPELINE.Stages(**stages),
        ledger=MemoryLedger(),
        ids=DecisionIds(clocks.wall, os.urandom),
        clocks=clocks,
        config_stale=lambda: False,
        in_emergency=lambda: False,
        stopwatch=TIMINGS.Stopwatch(Metrics(CollectorRegistry())),
    )


def lanes(carried: Any, rollout: dict[str, Any] | None = None) -> Any:
    active, choice = version(), None
    if (chooser := steered_choice()) is not None:
        choice = chooser.VersionChoice(lambda: active, time.time)
        choice.take_over(state(rollout=rollout), active, version(2) if rollout else None)
    made = built(
        LANES.Lanes,
        pipelines={TAIL.name: carried},
        choice=choice,
        config=lambda: active,
        clocks=SystemClocks(),
    )
    made.configure(active)
    return made


def asking(into: Any, rows: int) -> Callable[[], Awaitable[object]]:
    """Give what the gateway does with one request, from its rows to their envelopes."""
    given = {name: FILLED[name] for name in FEATURES[:2]}
    bodies = [TailBody(entity=each, slo_ms=250.0, **given) for each in entities(rows)]
    principal = Principal("k1", Role.CLIENT)

    async def ask() -> object:
        return await into.ask(TAIL.name, bodies, principal, into.now(), "r")

    return ask


def holding(spoiled: str) -> Callable[[], Awaitable[object]] | None:
    """Give what a policy of 200 rules takes for 64 rows, where policies can say so much."""
    rules = newer("benchmarks.safety.rules")
    if rules is None:
        return None
    policy, batch = rules.policy_of(rules.RULES), rules.batch()
    checker = rules.Checker(policy)
    fallback = rules.Fallback(policy, checker)
    if spoiled:
        batch = batch | {spoiled: np.where(np.arange(rules.ROWS) % 16, batch[spoiled], 1e4)}

    async def hold() -> object:
        return rules.carry_out(checker, fallback, batch)

    return hold


def cases() -> Iterator[Case]:
    stage = safety_stage()
    carried = pipeline(stage)
    for rows in ROWS:
        yield Case("safety stage", rows, judging(stage, asked_of_safety(rows)))
    for rows in ROWS:
        yield Case("safety stage, a warning", rows, judging(stage, asked_of_safety(rows, **WIDE)))
    for rows in ROWS:
        yield Case("gateway", rows, asking(lanes(carried), rows))
    if steered_choice() is not None:
        for rows in ROWS:
            yield Case("gateway, in a canary", rows, asking(lanes(carried, canary()), rows))
    for name, spoiled in (("nothing broken", ""), ("four rows lost", "answer_0")):
        if (hold := holding(spoiled)) is not None:
            yield Case(f"200 rules, {name}", 64, hold)


async def timed(case: Case, calls: int) -> float:
    """Give the processor's time for so many calls, in seconds."""
    began = time.process_time()
    for _ in range(calls):
        await case.call()
    return time.process_time() - began


async def calls_of(case: Case) -> int:
    """Find how many calls make a piece."""
    calls = 1
    while (seconds := await timed(case, calls)) < PIECE_SECONDS:
        calls *= 2
    return max(1, round(calls * PIECE_SECONDS / seconds))


async def part_of(case: Case, calls: int) -> list[float]:
    """Give the microseconds of a call, several times over; the first that woke it is left out."""
    return [await timed(case, calls) / calls * 1e6 for _ in range(1 + PIECES)][1:]


async def serve(found: Sequence[Case]) -> None:
    calls = [await calls_of(case) for case in found]
    print(json.dumps([[case.name, case.rows] for case in found]), flush=True)
    for _ in sys.stdin:
        parts = [await part_of(*each) for each in zip(found, calls, strict=True)]
        print(json.dumps(parts), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(list(cases())))
