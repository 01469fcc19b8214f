"""Services that are faster than the first bucket of their histogram: bounds, and no more."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from models.tail.buckets import Bucket
from models.tail.requests import QUANTILES
from models.tail.resolution import BEGIN, END, Resolution
from models.tail.training import TrainedTail, train_tail
from models.tail.xgboost_quantile import TailModel
from tests.models.tail.conftest import WrittenLaw, silent

FIRST_BUCKET = 50.0


def by_histogram(columns: dict[str, Any], fast: str = "gateway") -> dict[str, Any]:
    """Give quantiles in the exemplars' place; all requests of `fast` are in the first bucket."""
    found = {name: values for name, values in columns.items() if name != "exemplars"}
    hidden = columns["entity"] == fast
    assert (columns["exemplars"][hidden] < FIRST_BUCKET).mean() > 0.999
    for name, level in QUANTILES.items():
        measured = np.quantile(columns["exemplars"], level, axis=1)
        found[name] = np.where(hidden, FIRST_BUCKET * level, measured)
    return found


@pytest.fixture(scope="module")
def telemetry() -> dict[str, Any]:
    return by_histogram(WrittenLaw().telemetry(seed=5, days=12))


def trained_on(columns: dict[str, Any], heard: Any = silent) -> TrainedTail:
    return train_tail(columns, seed=1, threads=1, progress=heard, requests=8_000)


@pytest.fixture(scope="module")
def bounded(telemetry: dict[str, Any]) -> TrainedTail:
    return trained_on(telemetry)


def asked(trained: TrainedTail, entities: list[str], **changes: Any) -> dict[str, Any]:
    constant = {"load": 0.5, "infra": 0.2, "request_rate": 500.0, "error_rate": 1e-3}
    constant |= {"active_workers": 4.0, "slo_ms": 250.0}
    rows = {name: np.full(len(entities), value) for name, value in (constant | changes).items()}
    for name in ("baseline_ms", "baseline_rate"):
        rows[name] = np.array([getattr(trained.baselines[each], name) for each in entities])
    return trained.model.predict(rows, entities)


def test_requests_within_the_bucket_are_within_the_interval(bounded: TrainedTail) -> None:
    """They took a tenth of what linear interpolation says, and nine of ten must be held."""
    law = WrittenLaw().telemetry(seed=9, days=1)
    rows = np.flatnonzero(law["entity"] == "gateway")[::20]
    answer = asked(
        bounded,
        ["gateway"] * rows.size,
        **{name: law[name][rows] for name in ("load", "infra", "request_rate", "error_rate")},
    )
    latency = law["exemplars"][rows]
    inside = (answer["lower"][:, None] <= latency) & (latency <= answer["upper"][:, None])
    assert inside.mean() >= 0.9
    assert (answer["p50_pred"] >= FIRST_BUCKET).all()  # at most that


def test_an_objective_within_the_bucket_is_not_judged(bounded: TrainedTail) -> None:
    names = ["gateway", "settlement", "gateway"]
    answer = asked(bounded, names, slo_ms=np.array([8.0, 8.0, 250.0]))
    np.testing.assert_array_equal(np.isfinite(answer[END]), [True, False, True])
    assert answer[BEGIN][0] == 0
    assert answer[END][0] == pytest.approx(FIRST_BUCKET)
    assert answer["action"].tolist()[:2] == ["none", "page"]
    assert (answer["autoscale_workers"][0], answer["admit_fraction"][0]) == (4, 1.0)
    assert answer["breach_probability"][2] < 0.5


def test_who_is_bounded_teaches_the_others_nothing(
    telemetry: dict[str, Any], bounded: TrainedTail
) -> None:
    others = telemetry["entity"] == "settlement"
    alone = trained_on({name: values[others] for name, values in telemetry.items()})
    asked_of = ["settlement"]
    ours, theirs = asked(bounded, asked_of), asked(alone, asked_of)
    assert {name: each.tolist() for name, each in ours.items()} == {
        name: each.tolist() for name, each in theirs.items()
    }
    assert BEGIN not in ours


def test_where_all_are_bounded_a_model_is_trained_all_the_same(telemetry: dict[str, Any]) -> None:
    fast = telemetry["entity"] == "gateway"
    heard: list[str] = []
    trained = trained_on(
        {name: values[fast] for name, values in telemetry.items()},
        lambda _, what: heard.append(what),
    )
    assert asked(trained, ["gateway"])["lower"][0] == 0
    assert "bounded by one bucket of their histogram: gateway (0 to 50 ms)" in heard


def test_a_rows_bits_are_the_same_whoever_rides_along(bounded: TrainedTail) -> None:
    names = ["gateway", "settlement", "gateway", "settlement"]
    objectives = np.array([8.0, 200.0, 60.0, 900.0])
    together = asked(bounded, names, slo_ms=objectives)
    for row, name in enumerate(names):
        alone = asked(bounded, [name], slo_ms=objectives[row])
        for column, values in alone.items():
            assert values.tobytes() == together[column][row : row + 1].tobytes()


def test_the_bucket_is_kept_with_the_model_and_may_be_unknown(
    bounded: TrainedTail, tmp_path: Path
) -> None:
    bounded.model.save(tmp_path)
    kept = asked(TrainedTail(TailModel.load(tmp_path), {}, bounded.baselines), ["gateway"])
    for name, values in asked(bounded, ["gateway"]).items():
        np.testing.assert_array_equal(kept[name], values)
    file = tmp_path / "meta.json"
    document = orjson.loads(file.read_bytes())
    del document["meta"]["buckets"]  # as earlier releases wrote it
    file.write_bytes(orjson.dumps(document))
    before = asked(TrainedTail(TailModel.load(tmp_path), {}, bounded.baselines), ["gateway"])
    assert END not in before
    assert before["lower"][0] > 0


def test_only_what_lies_within_the_bucket_becomes_a_bound() -> None:
    buckets = {"fast": Bucket(10.0, 25.0)}
    assert Resolution.of(buckets, ["slow"]) is None
    found = Resolution.of(buckets, ["fast", "fast", "slow"])
    assert found is not None
    given = {"upper": np.array([12.0, 30.0, 12.0]), "lower": np.array([9.0, 12.0, 12.0])}
    said = found.bounded(given)
    assert said["upper"].tolist() == [25.0, 30.0, 12.0]
    assert said["lower"].tolist() == [9.0, 10.0, 12.0]
