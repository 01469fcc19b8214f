from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.sources.simulator.platform import Platform
from features.telemetry.columns import Telemetry
from models.errors import TrainingDataError
from models.tail.history import history_of
from models.tail.training import train_tail

DAY = 86_400


def saved(model: Any, folder: Path) -> tuple[bytes, bytes]:
    model.save(folder)
    return (folder / "booster.ubj").read_bytes(), (folder / "meta.json").read_bytes()


def fresh_coverage(model: Any, columns: dict[str, Any], first: int) -> float:
    """Measure coverage from `first` on, over the serving path, baselines as of each day."""
    history = history_of(columns)
    rows = history.where(history.ts >= first)
    answer = model.predict(
        {
            "load": rows.inputs[:, 0],
            "infra": rows.inputs[:, 1],
            "error_rate": rows.inputs[:, 2],
            "request_rate": rows.inputs[:, 3],
            **{name: np.ones(rows.ts.size) for name in ("baseline_rate", "baseline_ms", "slo_ms")},
            "active_workers": np.ones(rows.ts.size),
        }
    )
    latency = np.exp(rows.targets)
    inside = (answer["lower"][:, None] <= latency) & (latency <= answer["upper"][:, None])
    return float(inside.mean())


def test_equal_seeds_make_equal_models_to_the_bit(law: Any, train: Any, tmp_path: Path) -> None:
    columns = law.telemetry(seed=2)
    first, second, other = (
        saved(train(columns, seed=seed, requests=5_000).model, tmp_path / str(place))
        for place, seed in enumerate((3, 3, 4))
    )
    assert first == second
    assert first[0] != other[0]


def test_training_changes_nothing_it_was_given(law: Any, train: Any) -> None:
    columns = law.telemetry(seed=2)
    before = {name: values.copy() for name, values in columns.items()}
    train(columns, requests=2_000)
    assert all(np.array_equal(columns[name], before[name]) for name in columns)


@pytest.mark.parametrize(
    ("column", "level", "tolerance"),
    [("p50_pred", 0.5, 0.03), ("p95_pred", 0.95, 0.05), ("p99_pred", 0.99, 0.1)],
)
def test_the_law_behind_the_history_is_found(
    trained: Any, law: Any, column: str, level: float, tolerance: float
) -> None:
    load, infra = (grid.ravel() for grid in np.meshgrid([0.2, 0.4, 0.6, 0.8], [0.1, 0.3, 0.5]))
    baseline = trained.baselines["gateway"]
    constant = {
        "error_rate": 1e-3,
        "active_workers": 4.0,
        "baseline_ms": baseline.baseline_ms,
        "baseline_rate": baseline.baseline_rate,
        "slo_ms": 50.0,
    }
    rows = {name: np.full(load.size, value) for name, value in constant.items()}
    rows |= {"load": load, "infra": infra, "request_rate": 1_000 * load}
    found = np.log(trained.model.predict(rows)[column] / law.scale_ms["gateway"])
    assert np.abs(found - law.log_quantile(level, load, infra)).mean() < tolerance


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_the_interval_covers_nine_of_ten_fresh_requests(trained: Any, law: Any, seed: int) -> None:
    start = law.first_day + law.days
    fresh = law.telemetry(seed=seed, first_day=start - 7, days=12)
    assert 0.88 <= fresh_coverage(trained.model, fresh, start * DAY) <= 0.92


def test_the_interval_covers_nine_of_ten_fresh_requests_of_the_simulator(train: Any) -> None:
    platform, start, stop = Platform(seed=3), 20_480 * DAY, 20_520 * DAY
    entities = ("default", "order-gateway", "settlement")
    columns = Telemetry.concat(platform.minutes(e, start, stop) for e in entities).columns()
    trained_to = stop - 7 * DAY
    before = columns["ts"] < trained_to
    model = train({name: values[before] for name, values in columns.items()}).model
    assert 0.88 <= fresh_coverage(model, columns, trained_to) <= 0.92


def test_the_held_out_figures_are_reported(trained: Any) -> None:
    assert 0.88 <= trained.metrics["coverage"] <= 0.92
    assert trained.metrics["mean_length"] > 0
    losses = [trained.metrics[f"pinball_{level}"] for level in ("0.05", "0.5", "0.95", "0.99")]
    assert all(0 < loss < 1 for loss in losses)
    assert set(trained.baselines) == {"gateway", "settlement"}


def test_progress_goes_up_to_the_end(law: Any) -> None:
    heard: list[tuple[float, str]] = []
    train_tail(
        law.telemetry(seed=2),
        seed=1,
        threads=1,
        progress=lambda share, what: heard.append((share, what)),
        requests=2_000,
    )
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert (shares[0], heard[-1]) == (0.0, (1.0, "trained"))


def test_half_a_day_of_two_is_too_little_and_says_how_much_is_missing(law: Any, train: Any) -> None:
    columns = {name: each[:600] for name, each in law.telemetry(seed=1, days=7).items()}
    message = "2,000 intervals needed, 600 are there: about 23 h more at a cadence of 60 s from 1"
    with pytest.raises(TrainingDataError, match=message):
        train(columns)


def test_a_week_does_and_the_interval_is_no_narrower(law: Any, train: Any) -> None:
    trained = train(law.telemetry(seed=1, days=7))
    assert trained.metrics["history_hours"] == pytest.approx(7 * 24, abs=0.1)
    assert trained.model.meta.offset >= 0
    start = law.first_day + law.days
    fresh = law.telemetry(seed=7, first_day=start - 7, days=9)
    assert 0.88 <= fresh_coverage(trained.model, fresh, start * DAY) <= 0.97
