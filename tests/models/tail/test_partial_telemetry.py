"""Telemetry such as anyone's: metrics that are not there, other cadences, short histories."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from features.sources.simulator.platform import Platform
from features.telemetry.columns import Telemetry
from models.errors import TrainingDataError
from models.needs import TAIL
from models.tail.history import history_of
from models.tail.training import TrainedTail, train_tail

DAY, HOUR = 86_400, 3_600
START, STOP = 20_480 * DAY, 20_500 * DAY
ENTITIES = ("default", "order-gateway", "settlement")
METRICS = (
    "request_rate", "error_rate", "load", "infra", "p50_ms", "p95_ms", "p99_ms", "p999_ms",
    "exemplars",
)  # fmt: skip
NEEDED_ALONE = ("request_rate", "p50_ms")


@cache
def simulated() -> dict[str, Any]:
    platform = Platform(seed=3)
    return Telemetry.concat(platform.minutes(e, START, STOP) for e in ENTITIES).columns()


def without(columns: dict[str, Any], *names: str) -> dict[str, Any]:
    return columns | {name: np.full_like(columns[name], np.nan) for name in names}


def small(columns: dict[str, Any], requests: int = 2_000) -> TrainedTail:
    quiet = lambda _share, _what: None  # noqa: E731 - nobody listens
    return train_tail(columns, seed=1, threads=1, progress=quiet, requests=requests)


def asked(trained: TrainedTail, columns: dict[str, Any]) -> dict[str, Any]:
    """Ask of the first rows, as they were measured."""
    first = {name: columns[name][:50] for name in (*TAIL.can_do_without, "request_rate")}
    baseline = next(iter(trained.baselines.values()))
    rest = {"active_workers": 4.0, "slo_ms": 50.0, **baseline._asdict()}
    return trained.model.predict(
        first | {n: np.full(len(first["load"]), v) for n, v in rest.items()}
    )


def at(cadence: int, seconds: int) -> dict[str, Any]:
    """Lay simulated minutes out at another cadence, so long a history of them."""
    rows = seconds // cadence
    parts = []
    for entity in ENTITIES:
        own = np.flatnonzero(simulated()["entity"] == entity)
        parts.append(own[np.arange(rows) * max(cadence // 60, 1) % own.size])
    which = np.concatenate(parts).astype(np.int64)
    ts = START + np.tile(np.arange(rows) * cadence, len(ENTITIES)).astype(np.int64)
    return {name: values[which] for name, values in simulated().items()} | {"ts": ts}


@pytest.mark.parametrize("name", [*METRICS, "all"])
def test_each_metric_may_be_missing_or_its_lack_is_named(name: str) -> None:
    columns = at(300, 9 * DAY)
    lacks = METRICS if name == "all" else (name,)
    partial = without(columns, *lacks)
    if name in NEEDED_ALONE or name == "all":
        with pytest.raises(TrainingDataError, match=f"lacks .*{lacks[0]}"):
            small(partial)
        with pytest.raises(TrainingDataError, match=f"lacks .*{lacks[0]}"):
            small({each: values for each, values in partial.items() if each not in lacks})
        return
    trained = small(partial)
    missing = np.array(trained.model.meta.input_missing)
    wholly = [
        each
        for each, share in zip(("load", "infra", "error_rate"), missing, strict=False)
        if share == 1
    ]
    assert wholly == [name] * (name in TAIL.can_do_without)
    assert trained.model.meta.target == ("quantiles" if name == "exemplars" else "exemplars")
    for rows in (columns, partial):  # what serving is given need not be what training was
        answer = asked(trained, rows)
        assert all(np.isfinite(answer[each]).all() for each in ("p50_pred", "p999_pred", "upper"))
        assert (answer["lower"] <= answer["upper"]).all()


@pytest.mark.parametrize("cadence", [15, 60, 300, 3_600])
@pytest.mark.parametrize("seconds", [0, HOUR, 2 * DAY, 9 * DAY])
def test_each_history_trains_or_says_how_much_is_missing(cadence: int, seconds: int) -> None:
    columns = without(at(cadence, seconds), "exemplars", "load", "infra", "p999_ms")
    intervals = len(columns["ts"])
    if seconds == 0:
        with pytest.raises(TrainingDataError, match="lacks request_rate, p50_ms"):
            small(columns)
    elif intervals < TAIL.least_intervals or seconds < TAIL.least_hours * HOUR:
        with pytest.raises(TrainingDataError, match=f"needed, {intervals:,} are there: about"):
            small(columns)
    else:
        trained = small(columns)
        assert trained.model.meta.cadence_seconds == cadence
        assert trained.metrics["history_hours"] == pytest.approx(seconds / HOUR, abs=1)
        assert np.isfinite(asked(trained, columns)["upper"]).all()


def test_an_input_that_training_always_had_may_lack_later_and_the_interval_says_so() -> None:
    columns = at(60, 9 * DAY)
    trained = small(columns)
    whole, lacking = asked(trained, columns), asked(trained, without(columns, "infra"))
    wide, usual = (np.log(each["upper"] / each["lower"]).mean() for each in (lacking, whole))
    assert wide > 1.02 * usual
    no_load = asked(trained, without(columns, "load"))
    assert (no_load["autoscale_workers"] == 4).all()
    assert (no_load["admit_fraction"] == 1).all()
    assert set(no_load["action"]) <= {"none", "page"}


def test_more_load_never_shortens_latency_where_other_inputs_lack_now_and_then() -> None:
    columns = {name: values.copy() for name, values in at(60, 9 * DAY).items()}
    rng = np.random.default_rng(5)
    for name in ("load", "infra"):
        columns[name][rng.random(len(columns["ts"])) < 0.3] = np.nan
    trained = small(columns, requests=8_000)
    assert 0.25 < trained.model.meta.input_missing[1] < 0.35
    loads = np.linspace(0, 1.4, 200)
    for infra in (np.nan, 0.2, 0.6):
        inputs = np.column_stack([loads, *(np.full(200, v) for v in (infra, 1e-3, 1.0))])
        assert (np.diff(trained.model.quantiles(inputs), axis=0) >= 0).all()


def test_an_entity_without_traffic_costs_the_others_nothing() -> None:
    columns = {name: values.copy() for name, values in at(300, 9 * DAY).items()}
    columns["request_rate"][columns["entity"] == "settlement"] = 0.0
    assert set(small(columns).baselines) == {"default", "order-gateway"}


@pytest.mark.parametrize("lacks", [(), ("load", "infra")])
def test_requests_drawn_from_quantiles_make_intervals_that_cover_real_requests(
    lacks: tuple[str, ...],
) -> None:
    """The simulator's own exemplars are the truth, of days that were not trained on."""
    columns, until = simulated(), STOP - 4 * DAY
    before = columns["ts"] < until
    partial = without(columns, "exemplars", "p999_ms", *lacks)
    trained = small({name: values[before] for name, values in partial.items()}, requests=20_000)
    truth = history_of(columns)
    rows = truth.where(truth.ts >= until)
    names = ("load", "infra", "error_rate", "request_rate")
    given = {name: rows.inputs[:, place].copy() for place, name in enumerate(names)}
    for name in lacks:
        given[name][:] = np.nan
    ones = ("baseline_rate", "baseline_ms", "slo_ms", "active_workers")
    answer = trained.model.predict(given | {name: np.ones(rows.ts.size) for name in ones})
    latency = np.exp(rows.targets)
    inside = (answer["lower"][:, None] <= latency) & (latency <= answer["upper"][:, None])
    assert 0.87 <= inside.mean() <= 0.93
