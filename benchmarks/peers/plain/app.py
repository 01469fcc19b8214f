"""The program that a user would write instead of Ballast: FastAPI, uvicorn, Redis and the model.

It does the work of Ballast's whole DAG for each request: checks the key, reads the entity's
features from Redis, calls the model, checks the ranges, appends the decision to a Redis stream and
only then answers, with the same fields. It is written for speed: asynchronous throughout, hiredis,
and orjson straight into the response.
"""

import hmac
import math
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import redis.asyncio as redis
import xgboost as xgb
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

KEY = os.environ["BENCH_KEY"].encode()
LEVELS = (0.05, 0.5, 0.95, 0.99, 0.999)
CEILING_MS = 60_000.0
FALLBACK_MS = (50.0, 100.0, 250.0, 500.0, 1000.0)

Measure = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid")

    entity: str = "default"
    load: Measure | None = None
    infra: Measure | None = None
    request_rate: Measure | None = None
    error_rate: Measure | None = None
    slo_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 250.0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # The default of 100 connections turns 256 clients away; a waiting pool costs more a request.
    app.state.store = redis.from_url(
        os.environ["BENCH_REDIS_URL"], decode_responses=True, max_connections=1000
    )
    app.state.booster = xgb.Booster(model_file=Path(os.environ["BENCH_MODEL"]))
    app.state.booster.set_param({"nthread": 1})
    yield
    await app.state.store.aclose()


async def check_key(request: Request) -> None:
    if not hmac.compare_digest(request.headers.get("x-api-key", "").encode(), KEY):
        raise HTTPException(401, "send a valid key in X-API-Key")


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/models/tail-slo", dependencies=[Depends(check_key)])
async def tail_slo(ask: Ask, request: Request) -> Response:
    start = time.perf_counter()
    state = request.app.state
    cached = await state.store.hgetall(f"features:{ask.entity}")
    row = model_row(ask, cached)
    predicted = predict(state.booster, row, float(cached["baseline_ms"]))
    violations = range_violations(predicted)
    quantiles = FALLBACK_MS if violations else predicted
    answer = compose(ask, quantiles, violations, start)
    decision = orjson.dumps({"ask": ask.model_dump(), "row": row, "answer": answer})
    await state.store.xadd("ledger", {"decision": decision}, maxlen=100_000, approximate=True)
    return Response(orjson.dumps(answer), media_type="application/json")


def model_row(ask: Ask, cached: dict[str, str]) -> list[float]:
    def asked_or_cached(name: str) -> float:
        asked = getattr(ask, name)
        return float(cached[name]) if asked is None else float(asked)

    rate_ratio = asked_or_cached("request_rate") / float(cached["usual_request_rate"])
    return [*map(asked_or_cached, ("load", "infra", "error_rate")), rate_ratio]


def predict(booster: xgb.Booster, row: list[float], baseline_ms: float) -> tuple[float, ...]:
    """Scale the booster's log ratios to the entity's usual latency; sorted, so none cross."""
    ratios = booster.inplace_predict(np.array([row], dtype=np.float32))[0]
    return tuple((baseline_ms * np.exp(np.sort(ratios))).tolist())


def range_violations(quantiles: tuple[float, ...]) -> list[str]:
    return [
        f"quantile {level} is {value}"
        for level, value in zip(LEVELS, quantiles, strict=True)
        if not (math.isfinite(value) and 0 <= value <= CEILING_MS)
    ]


def breach_probability(quantiles: tuple[float, ...], slo_ms: float) -> float:
    return 1 - float(np.interp(slo_ms, quantiles, LEVELS, left=0.0, right=1.0))


def compose(
    ask: Ask, quantiles: tuple[float, ...], violations: list[str], start: float
) -> dict[str, Any]:
    low, p50, p95, p99, p999 = quantiles
    breach = breach_probability(quantiles, ask.slo_ms)
    return {
        "data": {
            "p50_pred": p50,
            "p95_pred": p95,
            "p99_pred": p99,
            "p999_pred": p999,
            "breach_probability": breach,
            "action": action(breach),
            "autoscale_workers": max(0, math.ceil(10 * (p99 / ask.slo_ms - 1))),
            "admit_fraction": min(1.0, ask.slo_ms / p99),
        },
        "interval": {"lower": low, "upper": p95, "level": 0.9, "method": "quantile"},
        "safety": {
            "level": "critical" if violations else "safe",
            "violations": violations,
            "fallback": bool(violations),
            "override": None,
        },
        "meta": {
            "decision_id": uuid.uuid4().hex,
            "model": "tail/xgboost-quantile",
            "model_version": "1.0.0",
            "config_version": 1,
            "features": {"stale": [], "event_time": None},
            "degraded": False,
            "latency_ms": (time.perf_counter() - start) * 1e3,
        },
    }


def action(breach: float) -> str:
    for floor, name in ((0.5, "page"), (0.2, "shed_load"), (0.05, "scale_up")):
        if breach > floor:
            return name
    return "none"
