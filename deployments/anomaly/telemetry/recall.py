"""Answers about entities by what their streams said last: nothing is taken, and nothing changes."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from redis.asyncio import Redis

from deployments.anomaly import points, regime
from deployments.anomaly.operations import Recall
from deployments.runtime.batch import Detail, Prediction
from deployments.runtime.state.handler import Reply
from deployments.runtime.state.replies import prediction_of
from features.telemetry.judged import Judged, JudgedMetric, is_stale, read_judged
from models.anomaly.streams import SERVED
from settings.redis_connection import REDIS_AWAY

Family = Literal["regime", "anomaly"]
COLUMNS = {"regime": regime.RegimeHandler.columns, "anomaly": points.PointHandler.columns}
MODEL, DISTANCE = "anomaly/bocpd", "distance"
"""Entities' metrics are followed alike, whichever of the two endpoints is asked."""
_NOTHING_TAKEN = {"taken": 0, "duplicates": 0, "late": 0}


async def recalled(
    redis: Redis,
    wall: Callable[[], float],
    family: Family,
    asks: Sequence[Recall],
    model: tuple[str, str],
) -> Prediction:
    """Answer each row, from one question to Redis."""
    try:
        judged = await read_judged(redis, [ask["entity"] for ask in asks])
    except REDIS_AWAY:
        message = "Redis, which holds what is said of entities, cannot be reached: try again"
        away = Reply[Any](refusal={"code": "unavailable", "message": message})
        return prediction_of([away] * len(asks), COLUMNS[family], *model)
    now = wall()
    answer = _regime if family == "regime" else _anomaly
    replies = [
        _unknown(ask) if (found := judged.get(ask["entity"])) is None else answer(ask, found, now)
        for ask in asks
    ]
    return prediction_of(replies, COLUMNS[family], *model)


def _regime(ask: Recall, judged: Judged, now: float) -> Reply:
    """Tell of the metric that is asked for; else of the one whose change is likeliest."""
    likeliest = max(judged.newest, key=lambda name: judged.metrics[name].change_probability)
    metric = ask.get("metric", likeliest)
    found = judged.metrics.get(metric)
    if found is None:
        return _unknown(ask, judged)
    latest = {
        "change_probability": found.change_probability,
        "run_length": found.run_length,
        "mean": found.mean,
        "sd": found.sd,
        "p_value": found.p_value,
    }
    data = {
        "change_points": [0] if found.change_point else [],
        "alarm": found.alarm,
        "regime_id": found.regime,
        "since": found.since,
        "segments": found.segments,
        **_NOTHING_TAKEN,
        "telemetry": _of_telemetry(ask["entity"], {metric: found}, now),
    }
    return Reply(regime.columns_of(latest), _detail(data, {metric: found}, now))


def _anomaly(ask: Recall, judged: Judged, now: float) -> Reply:
    """Judge the newest interval by its oddest metric; the p-value is of so many looks."""
    newest = judged.newest
    oddest = min(newest.values(), key=lambda each: (each.p_value, -each.score))
    p_value = min(1.0, len(newest) * oddest.p_value)
    scores = [newest[name].score if name in newest else 0.0 for name in judged.metrics]
    point = {
        "score": oddest.score,
        "p_value": p_value,
        "is_anomaly": any(each.alarm for each in newest.values()),
        "attribution": scores,
    }
    data = {
        "points": [point],
        "detector": DISTANCE,
        **_NOTHING_TAKEN,
        "telemetry": _of_telemetry(ask["entity"], judged.metrics, now),
    }
    latest = {"score": oddest.score, "p_value": p_value}
    columns = points.columns_of(latest, oddest.observations)
    return Reply(columns, _detail(data, newest, now, missing=judged.metrics.keys() - newest.keys()))


def _detail(
    data: dict[str, Any],
    metrics: dict[str, JudgedMetric],
    now: float,
    missing: Any = (),
) -> Detail:
    """Say beside the data how old it is, as every answer says it of its features."""
    stale = [name for name, each in metrics.items() if is_stale(each, now)]
    event_time = max(each.event_time for each in metrics.values())
    features = {
        "stale": stale,
        "assumed": [],
        "missing": sorted(missing),
        "event_time": _timestamp(event_time),
    }
    meta = {"model": MODEL, "features": features, "degraded": bool(stale)}
    return {"data": data, "meta": meta}


def _of_telemetry(entity: str, metrics: Any, now: float) -> dict[str, Any]:
    newest: JudgedMetric = max(metrics.values(), key=lambda each: each.event_time)
    fewest = min(each.observations for each in metrics.values())
    left = max((SERVED.learning or 0) - fewest, 0)
    return {
        "entity": entity,
        "metrics": list(metrics),
        "event_time": _timestamp(newest.event_time),
        "known_time": _timestamp(newest.known_time),
        "stale": is_stale(newest, now),
        "observations": fewest,
        "missing": sum(each.missing for each in metrics.values()),
        "learning": None
        if not left
        else {
            "observations_left": left,
            "until": _timestamp(newest.event_time + (left + 1) * newest.cadence_seconds),
        },
    }


def _unknown(ask: Recall, judged: Judged | None = None) -> Reply:
    if judged is None:
        message = (
            f"No stream follows the telemetry of {ask['entity']!r}: GET /entities lists what is "
            "measured, and streams.telemetry of the configuration says what is followed"
        )
    else:
        message = (
            f"Of {ask['entity']!r} no stream follows {ask.get('metric')!r}: those that are "
            f"followed are {', '.join(judged.metrics)}"
        )
    return Reply(refusal={"code": "not_found", "message": message})


def _timestamp(epoch: float) -> str:
    stamp = datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")
