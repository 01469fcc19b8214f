"""Writes a batch down: the envelope that each client gets, and the row that the ledger keeps."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from access.keys import Principal
from config_store.store import Version
from deployments.api.endpoint import FamilyBody, InferenceEndpoint
from deployments.api.errors import REFUSALS, RefusedError
from deployments.gateway.pipeline.envelope import (
    interval_of,
    safety_of,
    steered,
    unjudged_of,
    why_no_interval,
    withheld_columns,
    withheld_interval,
)
from deployments.runtime.batch import DEMO_META, Batch, Detail, Judgement, Prediction, Refusal
from deployments.runtime.state.tags import tag
from features.fill import Filled
from observability.ledger.decision import Decision
from safety.limits import LEVELS, Level
from safety.rungs import RUNGS

_NO_DETAIL: Detail = {}
_NOTHING: dict[str, Any] = {}
_RUNG_NAMES = tuple(each.value for each in RUNGS)  # a plain text is written in half the time


class LaneRow(NamedTuple):
    """One row of one request, as it enters the lane; one is made for every row."""

    body: FamilyBody
    principal: Principal
    received: float  # on the monotonic clock, as is the deadline
    deadline: float
    request_id: str
    # Which all stages answer it by, however long it waits.
    version: Version
    # The decision that it is answered beside, by a candidate that no client sees; else empty.
    shadow_of: str = ""
    # The decision that it will be; "" where the pipeline is to make an id.
    decision_id: str = ""


class Answered(NamedTuple):
    """One row's answer, ready to leave, or why there is none."""

    decision_id: str
    envelope: bytes
    refusal: RefusedError | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What all rows of a batch share."""

    version: Version
    degraded: bool
    # Without the features stage the gateway fills in what the version assumes.
    features_lost: bool
    now: float  # epoch seconds
    monotonic: float


@dataclass(frozen=True, slots=True)
class StageResults:
    """All that the stages said of a batch."""

    batch: Batch
    filled: Filled
    prediction: Prediction
    judgement: Judgement


def write_down(
    family: InferenceEndpoint,
    asks: Sequence[LaneRow],
    ids: Sequence[str],
    results: StageResults,
    shared: Circumstances,
) -> tuple[list[Answered], list[Decision]]:
    """Encode each row once; the ledger's row embeds the very bytes that the client gets."""
    judged, prediction = results.judgement, results.prediction
    rungs = judged.rungs.astype(int).tolist()
    fallback = [rung > 0 for rung in rungs]
    details = _details(family, asks, prediction, fallback)
    for row, by_field in judged.overrides.items():
        details[row] = _without(details[row], by_field)
    data = family.answers(judged.columns, details)
    lower, upper = judged.columns["lower"].tolist(), judged.columns["upper"].tolist()
    levels = judged.levels.astype(int).tolist()
    event_times = results.filled.event_time.tolist()
    features = _features_by_row(family, results.filled, len(asks))
    written_at = isoformat(shared.now)
    # What all rows have in common is written once.
    stages = orjson.Fragment(orjson.dumps(_stages(family, results, shared)))
    reasons = ["emergency_mode"] if judged.emergency else []
    withheld = withheld_columns(prediction, judged)
    why = judged.emergency or prediction.reason
    is_steered = bool(judged.overrides) or judged.unchecked
    unjudged: Sequence[str] = family.unjudged
    answered, decisions = [], []
    for row, (ask, decision_id) in enumerate(zip(asks, ids, strict=True)):
        latency_ms = round((shared.monotonic - ask.received) * 1000, 3)
        assumed = results.filled.assumed.get(row, ())
        missing = results.filled.missing.get(row, ())
        violations = judged.violations.get(row, [])
        level = LEVELS[levels[row]]
        detail = details[row] or _NO_DETAIL
        meta = detail.get("meta", _NOTHING)
        interval = interval_of(
            family,
            lower[row],
            upper[row],
            detail.get("interval", _NOTHING),
            fallback=fallback[row],
        )
        if interval is None:
            meta = meta | {"interval_reason": why_no_interval(family, fallback=fallback[row])}
        if why:
            meta = meta | {"fallback_reason": why}
        if prediction.of_demo and not fallback[row]:
            meta = {**meta, **DEMO_META}
        if family.takes_feedback:
            meta = meta | {"feedback": not fallback[row]}
        if family.parameters:
            unjudged = unjudged_of(family, judged.columns, data[row])
        safety = safety_of(level, violations, unjudged, fallback=fallback[row])
        if is_steered:
            safety = steered(safety, judged, row)
        envelope = orjson.dumps(
            {
                "data": data[row],
                "interval": interval,
                "safety": safety,
                "meta": {
                    "decision_id": decision_id,
                    "model": prediction.model,
                    "model_version": prediction.model_version,
                    "config_version": shared.version.number,
                    "rung": _RUNG_NAMES[rungs[row]],
                    "features": {
                        "stale": results.filled.stale.get(row, ()),
                        "assumed": assumed,
                        "missing": missing,
                        "event_time": isoformat(event_times[row]),
                    },
                    "latency_ms": latency_ms,
                    "deadline_left_ms": round((ask.deadline - shared.monotonic) * 1000, 3),
                    **meta,
                    "degraded": shared.degraded
                    or fallback[row]
                    or bool(assumed)
                    or meta.get("degraded", False),
                },
            }
        )
        held_back = withheld_interval(prediction, row, violations) if fallback[row] else None
        ledger_row = orjson.dumps(
            {
                "timestamp": written_at,
                "decision_id": decision_id,
                "endpoint": family.path,
                "family": family.name,
                "entity": ask.body.entity,
                "symbol": None,
                "timeframe": None,
                "regime": None,
                "regime_confidence": None,
                "signal_prob": None,
                "allowed": level in (Level.SAFE, Level.WARNING),
                "decision_reasons": reasons + [violation["rule"] for violation in violations],
                "processing_time_ms": latency_ms,
                "config_version": shared.version.number,
                "config_hash": shared.version.config_hash,
                "stages": stages,
                "model": meta.get("model", prediction.model),
                "model_version": meta.get("model_version", prediction.model_version),
                "key_id": ask.principal.key_id,
                "request": ask.body.model_dump(exclude_unset=True),
                "features": features[row],
                "answer": orjson.Fragment(envelope),
                **({"rollout_key": tag(family.key(ask.body))} if family.key else {}),
                **({"shadow_of": ask.shadow_of} if ask.shadow_of else {}),
                **({} if held_back is None else {"withheld_interval": held_back}),
                **({"withheld": withheld[row]} if row in withheld else {}),
                **({"overrides": judged.overrides[row]} if row in judged.overrides else {}),
            }
        )
        answered.append(Answered(decision_id, envelope))
        decisions.append(Decision(decision_id, ledger_row))
    return answered, decisions


def refused(refusals: Mapping[int, Refusal], batch: Batch) -> dict[int, Answered]:
    """Make the answers of the rows that get none: each is told why in its own place."""
    return {
        row: _refused(why, batch.ids[row], batch.requests[row]) for row, why in refusals.items()
    }


def in_place(written: Sequence[Answered], refused_rows: Mapping[int, Answered]) -> list[Answered]:
    """Put the answers that were written between those that were refused."""
    answers = iter(written)
    n = len(written) + len(refused_rows)
    return [refused_rows[row] if row in refused_rows else next(answers) for row in range(n)]


def _refused(why: Refusal, decision_id: str, request_id: str) -> Answered:
    refusal = REFUSALS[why["code"]](why["message"], why.get("fields"))
    return Answered(decision_id, refusal.body(request_id), refusal)


def _stages(
    family: InferenceEndpoint, results: StageResults, shared: Circumstances
) -> dict[str, Any]:
    """Name what each stage answered the batch by; null for one that was not asked, or was lost."""
    filled = bool(family.features) and not shared.features_lost
    prediction, judgement = results.prediction, results.judgement
    return {
        "features": {"version": results.batch.version} if filled else None,
        "model": None
        if prediction.version is None
        else {
            "version": prediction.version,
            "model": prediction.model,
            "model_version": prediction.model_version,
            "digest": prediction.digest or None,
        },
        "safety": {"version": judgement.version, "policy": judgement.policy},
    }


def _details(
    family: InferenceEndpoint,
    asks: Sequence[LaneRow],
    prediction: Prediction,
    fallback: Sequence[bool],
) -> list[Detail | None]:
    """Give what the model said beside its columns, and of rows that fell back their family."""
    said = prediction.details or [None] * len(fallback)
    return [
        _in_place_of(family, ask.body, detail) if fell_back else detail
        for ask, detail, fell_back in zip(asks, said, fallback, strict=True)
    ]


def _in_place_of(
    family: InferenceEndpoint, body: FamilyBody, detail: Detail | None
) -> Detail | None:
    """Give what is said beside the fallback's numbers: what was taken is taken whoever answers."""
    if family.taken is not None and detail is not None:
        return family.taken(detail)
    return family.fallback_detail(body) if family.fallback_detail else None


def _without(detail: Detail | None, fields: Collection[str]) -> Detail | None:
    """Leave out of a detail what a person said instead."""
    if detail is None or "data" not in detail:
        return detail
    kept = {name: value for name, value in detail["data"].items() if name not in fields}
    return {**detail, "data": kept}


def _features_by_row(family: InferenceEndpoint, filled: Filled, n: int) -> list[dict[str, Any]]:
    """Turn the filled columns into one mapping a row: what a replay needs, and an auditor reads."""
    columns = [filled.columns[name].tolist() for name in family.features]
    return [
        dict(zip(family.features, values, strict=True)) for values in zip(*columns, strict=True)
    ] or [{} for _ in range(n)]


@lru_cache(maxsize=1024)  # event times come by the minute: a handful serves every row
def isoformat(epoch_seconds: float) -> str | None:
    if math.isnan(epoch_seconds):
        return None
    stamp = datetime.fromtimestamp(epoch_seconds, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
