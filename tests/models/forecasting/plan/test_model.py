"""Plans: what they promise of more load, of batches, of strangers, and of the law behind them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ArtifactError, TrainingDataError
from models.forecasting.plan.correction import Moment
from models.forecasting.plan.model import CapacityModel, CapacityPlan

HORIZON = 6
ENTITIES = ("quick", "slow", "nobody")
START = 20_030 * 86_400
MAYBE = st.just(np.nan)

requests = st.fixed_dictionaries(
    {
        "entity": st.sampled_from(ENTITIES),
        "upper": st.lists(st.floats(0, 1e6) | MAYBE, min_size=HORIZON, max_size=HORIZON),
        "ingest_rate": st.floats(0, 1e6),
        "cpu": st.floats(0, 1) | MAYBE,
        "p99": st.floats(0.01, 1e5) | MAYBE,
        "active_workers": st.floats(1, 1e3) | MAYBE,
        "expected_rate": st.floats(0.1, 1e6) | MAYBE,
        "calendar_events": st.integers(0, 20).map(float),
        "target_p99": st.floats(0.01, 1e5) | MAYBE,
        "target_cpu": st.floats(0.05, 1) | MAYBE,
    }
)


def plan_for(model: CapacityModel, rows: list[dict[str, Any]]) -> CapacityPlan:
    def column(name: str) -> Any:
        return np.array([row[name] for row in rows], dtype=np.float64)

    return model.plan(
        column("upper"),
        column("target_p99"),
        column("target_cpu"),
        entities=[row["entity"] for row in rows],
        start=np.full(len(rows), START),
        now=Moment(*(column(name) for name in Moment._fields)),
        calendar_events=column("calendar_events"),
    )


def one(model: CapacityModel, **changes: Any) -> CapacityPlan:
    row = {
        "entity": "quick", "upper": [6_000.0] * HORIZON, "ingest_rate": 5_000.0, "cpu": np.nan,
        "p99": np.nan, "active_workers": 20.0, "expected_rate": 5_000.0, "calendar_events": 0.0,
        "target_p99": 1e9, "target_cpu": 0.5,
    }  # fmt: skip
    return plan_for(model, [row | changes])


@given(row=requests, share=st.floats(1, 10), hour=st.integers(0, HORIZON - 1))
@settings(max_examples=300, deadline=None)
def test_more_load_never_gives_fewer_workers(
    model: CapacityModel, row: dict[str, Any], share: float, hour: int
) -> None:
    higher = list(row["upper"])
    higher[hour] *= share
    more = [
        row | {"upper": higher},
        row | {"ingest_rate": row["ingest_rate"] * share},
        row | {"cpu": row["cpu"] * share},
        row | {"p99": row["p99"] * share},
        row | {"calendar_events": row["calendar_events"] + np.floor(share)},
    ]
    plan = plan_for(model, [row, *more])
    assert np.all(plan.workers[1:] >= plan.workers[0])
    assert np.all(plan.queue_capacity[1:] >= plan.queue_capacity[0])
    assert plan.workers.min() >= 1


@given(row=requests, share=st.floats(1, 10))
@settings(max_examples=100, deadline=None)
def test_a_stricter_target_never_gives_fewer_workers(
    model: CapacityModel, row: dict[str, Any], share: float
) -> None:
    stricter = [row | {name: row[name] / share} for name in ("target_p99", "target_cpu")]
    plan = plan_for(model, [row, *stricter])
    assert np.all(plan.workers[1:] >= plan.workers[0])


@given(rows=st.lists(requests, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(
    model: CapacityModel, rows: list[dict[str, Any]]
) -> None:
    together = plan_for(model, rows)
    for place, row in enumerate(rows):
        alone = plan_for(model, [row])
        for one_column, all_columns in zip(alone, together, strict=True):
            assert one_column.tobytes() == all_columns[place : place + 1].tobytes()


@pytest.mark.parametrize("target", [0.3, 0.5, 0.8])
def test_a_worker_is_trusted_with_the_load_that_its_processors_bear(
    model: CapacityModel, law: Any, target: float
) -> None:
    plan = one(model, target_cpu=target)
    full, _ = law.scales["quick"]
    load = (target - 0.02) / 0.9
    assert plan.rate_per_worker[0] == pytest.approx(full * load, rel=0.07)
    assert plan.workers[0].tolist() == pytest.approx(
        np.ceil(plan.carried_rate[0] / plan.rate_per_worker[0]).tolist()
    )


@pytest.mark.parametrize("entity", ["quick", "slow"])
@pytest.mark.parametrize("load", [0.6, 0.8, 0.9])
def test_a_worker_is_trusted_with_the_load_that_meets_the_p99(
    model: CapacityModel, law: Any, entity: str, load: float
) -> None:
    full, idle_ms = law.scales[entity]
    plan = one(model, entity=entity, target_p99=law.p99(load, idle_ms), target_cpu=np.nan)
    assert plan.rate_per_worker[0] == pytest.approx(full * load, rel=0.07)
    assert plan.reachable[0]
    assert plan.basis[0] == "learned"


def test_a_load_that_nobody_was_seen_at_is_not_trusted(model: CapacityModel, law: Any) -> None:
    plan = one(model, target_cpu=np.nan, target_p99=1e12)
    assert plan.rate_per_worker[0] <= 1.1 * law.scales["quick"][0]


def test_a_target_that_no_worker_meets_is_said_to_be_out_of_reach(model: CapacityModel) -> None:
    plan = one(model, target_p99=0.1)
    assert not plan.reachable[0]
    assert plan.workers.max() < 500


def test_what_the_moment_says_fades(model: CapacityModel) -> None:
    usual = one(model).carried_rate[0]
    for surprised in (
        one(model, ingest_rate=7_500.0),
        one(model, cpu=0.9),
        one(model, cpu=0.9, ingest_rate=2_000.0),
        one(model, p99=50.0),
    ):
        rise = surprised.carried_rate[0] / usual
        assert rise[0] > 1.1
        assert np.all(np.diff(rise[1:]) < 0)
        assert 1 <= rise[-1] < 1.15
    lower = one(model, ingest_rate=2_500.0).carried_rate[0] / usual
    assert lower[0] < lower[-1] <= 1


def test_the_next_hour_carries_at_least_the_present_rate(model: CapacityModel) -> None:
    plan = one(model, upper=[10.0] * HORIZON, expected_rate=5_000.0)
    assert plan.carried_rate[0, 0] >= 5_000.0


def test_heavier_requests_cost_as_many_workers_as_more_of_them(
    model: CapacityModel, law: Any
) -> None:
    """At twenty workers and 5,000 a second the load is half; processors say three quarters."""
    heavier = one(model, cpu=law.cpu(0.75)).carried_rate[0, 1:]
    more = one(model, ingest_rate=7_500.0).carried_rate[0, 1:]
    assert heavier == pytest.approx(more, rel=0.05)


def test_the_queue_is_littles_law(model: CapacityModel) -> None:
    plan = one(model, target_p99=100.0)
    usual_p50 = model.learned.usual_p50[model.learned.entities.index("quick")]
    waiting = plan.carried_rate[0, 0] * (100.0 - usual_p50) / 1_000
    assert plan.queue_capacity[0] == np.ceil(waiting)


def test_an_entity_without_history_scales_what_it_has(model: CapacityModel) -> None:
    plan = one(
        model, entity="nobody", upper=[np.nan] * HORIZON, expected_rate=np.nan, cpu=0.75,
        target_cpu=0.5, target_p99=np.nan,
    )  # fmt: skip
    assert plan.workers[0].tolist() == [38] * HORIZON  # 20 x .75 / .5 x 1.25 = 37.5
    assert plan.basis[0] == "no history"
    assert np.isnan(plan.rate_per_worker[0])


def test_little_history_leans_on_the_others(law: Any) -> None:
    columns = law.telemetry()
    young = columns["entity"] == "slow"
    young &= columns["ts"] < columns["ts"].max() - 300 * 60
    model = CapacityModel.trained({name: column[~young] for name, column in columns.items()})
    full, idle_ms = law.scales["slow"]
    plan = one(model, entity="slow", target_p99=law.p99(0.8, idle_ms), target_cpu=np.nan)
    assert plan.basis[0] == "little history"
    assert plan.rate_per_worker[0] == pytest.approx(full * 0.8, rel=0.15)


def test_more_minutes_than_the_mean_are_planned_for_where_hours_peak(law: Any) -> None:
    columns = law.telemetry()
    burst = (columns["ts"] // 3_600 % 24 == 14) & (columns["ts"] % 3_600 < 600)
    columns["request_rate"] = np.where(burst, 3, 1) * columns["request_rate"]
    columns["active_workers"] = np.where(burst, 3, 1) * columns["active_workers"]
    peak = CapacityModel.trained(columns).learned.peak
    of_day = peak.reshape(len(peak), 7, 24)
    assert of_day[:, :, 14].min() > 2
    assert np.delete(of_day, 14, axis=2).max() < 1.5


def test_a_surprise_lasts_as_long_as_in_the_history(law: Any) -> None:
    columns = law.telemetry(days=56)
    rng = np.random.default_rng(3)
    hours = int((columns["ts"].max() - columns["ts"].min()) // 3_600) + 1
    surprise = np.zeros(hours)
    for hour in range(1, hours):
        surprise[hour] = 0.8 * surprise[hour - 1] + 0.3 * rng.normal()
    columns["request_rate"] *= np.exp(surprise[(columns["ts"] - columns["ts"].min()) // 3_600])
    assert CapacityModel.trained(columns).learned.persistence == pytest.approx(0.78, abs=0.08)


def test_a_saved_model_plans_with_the_same_bits(model: CapacityModel, tmp_path: Path) -> None:
    model.save(tmp_path / "capacity")
    for twin in (
        CapacityModel.load(tmp_path / "capacity"),
        pickle.loads(pickle.dumps(model)),  # noqa: S301  our own bytes
    ):
        for column, other in zip(one(model, cpu=0.9), one(twin, cpu=0.9), strict=True):
            assert column.tobytes() == other.tobytes()


def test_the_same_telemetry_gives_the_same_model(model: CapacityModel, law: Any) -> None:
    again = CapacityModel.trained(law.telemetry())
    for column, other in zip(one(model), one(again), strict=True):
        assert column.tobytes() == other.tobytes()


@pytest.mark.parametrize("file", ["curves.bin", "meta.json"])
def test_a_damaged_or_missing_file_is_refused(
    model: CapacityModel, tmp_path: Path, file: str
) -> None:
    model.save(tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:-9])
    with pytest.raises(ArtifactError):
        CapacityModel.load(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ArtifactError, match=file):
        CapacityModel.load(tmp_path)


def test_telemetry_that_teaches_nothing_is_refused_in_words(law: Any) -> None:
    columns = law.telemetry(days=1)
    with pytest.raises(TrainingDataError, match="lacks cpu"):
        CapacityModel.trained({k: v for k, v in columns.items() if k != "cpu"})
    with pytest.raises(TrainingDataError, match="120 complete intervals"):
        CapacityModel.trained({k: v[:50] for k, v in columns.items()})
    with pytest.raises(TrainingDataError, match="lacks cpu"):
        CapacityModel.trained(columns | {"cpu": np.full(len(columns["ts"]), np.nan)})


def test_gaps_are_left_out(law: Any) -> None:
    columns = law.telemetry()
    gappy = columns | {"cpu": columns["cpu"].copy(), "p99_ms": columns["p99_ms"].copy()}
    gappy["cpu"][::7], gappy["p99_ms"][::11] = np.nan, 0.0
    here, there = one(CapacityModel.trained(gappy)), one(CapacityModel.trained(columns))
    assert here.rate_per_worker == pytest.approx(there.rate_per_worker, rel=0.05)
