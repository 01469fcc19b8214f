"""Offsets by entity, on scores whose law is known and on services that spread unlike each other."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from models.conformal import conformal_quantile
from models.tail.by_entity import LEAST_HOURS, entity_means, entity_offsets
from models.tail.history import History
from models.tail.xgboost_quantile import TailModel
from tests.models.tail.conftest import WrittenLaw


def calibrated(hours: int, *names: str) -> History:
    """Give intervals of a minute, of so many hours of each entity."""
    size = 60 * hours
    ts = np.tile(np.arange(size) * 60, len(names))
    return History(np.zeros((ts.size, 4)), np.zeros((ts.size, 8)), ts, np.repeat(names, size))


def scores(rng: Any, hours: int, apart: dict[str, float], luck: float = 0.1) -> Any:
    """Draw scores about each entity's own level; those of one hour share their luck."""
    return np.concatenate(
        [
            level + np.repeat(luck * rng.normal(size=hours), 60) + 0.3 * rng.normal(size=60 * hours)
            for level in apart.values()
        ]
    )


def test_each_entity_is_covered_as_often_as_said() -> None:
    apart = {"calm": -0.2, "usual": 0.0, "wild": 0.3}
    rng = np.random.default_rng(1)
    found = scores(rng, 240, apart)
    common = conformal_quantile(found, 0.9)
    offsets = entity_offsets(found, calibrated(240, *apart), common)
    fresh = scores(np.random.default_rng(2), 2_400, apart).reshape(3, -1)
    before = (fresh <= common).mean(axis=1)
    after = (fresh <= np.array([[offsets[name]] for name in apart])).mean(axis=1)
    assert before.min() < 0.8
    assert before.max() > 0.98
    assert np.abs(after - 0.9).max() < 0.02


def test_entities_that_differ_by_chance_alone_are_drawn_together() -> None:
    """Ten fleets of eight alike: their offsets are nearer the truth than their own would be."""
    names = [f"service-{number}" for number in range(8)]
    drawn, own = [], []
    truth = 0.9
    reference = np.random.default_rng(9)
    fresh = scores(reference, 24_000, {"any": 0.0}, luck=0.3)
    for seed in range(10):
        found = scores(np.random.default_rng(seed), 24, dict.fromkeys(names, 0.0), luck=0.3)
        history = calibrated(24, *names)
        common = conformal_quantile(found, 0.9)
        offsets = entity_offsets(found, history, common)
        drawn += [(fresh <= offsets.get(name, common)).mean() - truth for name in names]
        own += [
            (fresh <= conformal_quantile(each, 0.9)).mean() - truth for each in found.reshape(8, -1)
        ]
    assert np.std(drawn) < 0.75 * np.std(own)


def test_an_entity_with_few_hours_keeps_the_common_offset() -> None:
    apart = {"calm": -0.2, "wild": 0.3, "young": 0.9}
    rng = np.random.default_rng(1)
    hours = 4 * LEAST_HOURS
    found, history = scores(rng, hours, apart), calibrated(hours, *apart)
    kept = (history.entity != "young") | (history.ts < (LEAST_HOURS - 1) * 3600)
    offsets = entity_offsets(found[kept], history.where(kept), 0.4)
    assert set(offsets) == {"calm", "wild"}
    assert entity_means(found[kept], history.where(kept)).keys() == offsets.keys()
    early = history.ts < (LEAST_HOURS - 1) * 3600
    assert entity_offsets(found[early], history.where(early), 0.4) == {}


class UnlikeLaw(WrittenLaw):
    """Settlement's latencies spread by half as much again as the inputs say."""

    def _entity(self, rng: np.random.Generator, name: str, ts: Any) -> Any:
        found = super()._entity(rng, name, ts)
        if name == "settlement":
            middle = np.median(found["exemplars"])
            found["exemplars"] = middle * (found["exemplars"] / middle) ** 1.5
            found["p50_ms"] = np.median(found["exemplars"], axis=1)
        return found


@pytest.fixture(scope="module")
def unlike(train: Any) -> Any:
    return train(UnlikeLaw().telemetry(seed=5))


def coverage_of(model: TailModel, entity: str, baselines: Any, entities: list[str] | None) -> float:
    law = UnlikeLaw()
    fresh = law.telemetry(seed=77, first_day=law.first_day + law.days, days=3)
    rows = np.flatnonzero(fresh["entity"] == entity)
    given = {name: fresh[name][rows] for name in ("load", "infra", "request_rate", "error_rate")}
    constant = {**baselines[entity]._asdict(), "slo_ms": 50.0, "active_workers": 4.0}
    given |= {name: np.full(rows.size, value) for name, value in constant.items()}
    answer = model.predict(given, None if entities is None else entities * rows.size)
    latency = fresh["exemplars"][rows]
    inside = (answer["lower"][:, None] <= latency) & (latency <= answer["upper"][:, None])
    return float(inside.mean())


def test_services_that_spread_unlike_each_other_are_each_covered(unlike: Any) -> None:
    for name in ("gateway", "settlement"):
        pooled = coverage_of(unlike.model, name, unlike.baselines, None)
        assert abs(pooled - 0.9) > 0.03
        assert 0.88 <= coverage_of(unlike.model, name, unlike.baselines, [name]) <= 0.92
    stranger = coverage_of(unlike.model, "gateway", unlike.baselines, ["nobody"])
    assert stranger == coverage_of(unlike.model, "gateway", unlike.baselines, None)


def test_the_worst_entitys_coverage_is_among_the_figures(unlike: Any) -> None:
    worst = unlike.metrics["coverage_worst_entity"]
    assert 0.87 <= worst <= unlike.metrics["coverage"]


def test_offsets_are_kept_with_the_model_and_may_be_unknown(unlike: Any, tmp_path: Path) -> None:
    unlike.model.save(tmp_path)
    assert TailModel.load(tmp_path).meta.offsets == unlike.model.meta.offsets
    assert set(unlike.model.meta.offsets) == {"gateway", "settlement"}
    file = tmp_path / "meta.json"
    document = orjson.loads(file.read_bytes())
    del document["meta"]["offsets"]  # as earlier releases wrote it
    file.write_bytes(orjson.dumps(document))
    model = TailModel.load(tmp_path)
    given = {name: np.ones(2) for name in ("load", "infra", "request_rate", "error_rate")}
    given |= {name: np.ones(2) for name in ("slo_ms", "active_workers")}
    given |= {name: np.ones(2) for name in ("baseline_ms", "baseline_rate")}
    asked, alone = (model.predict(given, each) for each in (["gateway", "settlement"], None))
    assert asked["lower"].tolist() == alone["lower"].tolist()


def test_a_rows_bits_are_the_same_whoever_rides_along(unlike: Any, ask: Any) -> None:
    rows, names = ask(6, 3), ["gateway", "settlement", "nobody"] * 2
    together = unlike.model.predict(rows, names)
    for row, name in enumerate(names):
        alone = unlike.model.predict({k: v[row : row + 1] for k, v in rows.items()}, [name])
        assert all(alone[k].tobytes() == together[k][row : row + 1].tobytes() for k in alone)
