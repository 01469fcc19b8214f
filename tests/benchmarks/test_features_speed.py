"""The features bench, as far as it can be held against something without a run of it."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.features_speed.contender import WrongAnswerError, refuse_other_values
from benchmarks.features_speed.feast import Ground, values_of
from benchmarks.features_speed.hits import AtRate, upper_quantile
from benchmarks.features_speed.in_process import InProcess
from benchmarks.features_speed.report import Report, Run, markdown, medians, ratios, write
from benchmarks.features_speed.subject import ENTITIES, MEASURED, NAMES, OWN, SIZES, draw
from benchmarks.speed.openloop import OpenLoop
from benchmarks.speed.wrk import ClosedLoop
from config_store.own_features import catalogue_of

Closed = Callable[..., ClosedLoop]
ASKING = """
import json, sys
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps([1000, 3000, json.loads(line)["seconds"] * 1000]), flush=True)
"""


def test_fifty_features_are_asked_of_a_thousand_entities() -> None:
    subject = draw()
    assert (len(NAMES), len({*NAMES}), len(subject.entities)) == (50, 50, ENTITIES)
    assert catalogue_of(OWN, 180.0).known(NAMES) == NAMES
    assert {tuple(each) for each in subject.asked[1]} == {(each,) for each in subject.entities}
    for size in SIZES:
        assert {len({*each}) for each in subject.asked[size]} == {size}
    assert draw() == subject, "each run reads the same"


def test_what_is_stored_lies_within_the_bounds_so_that_nothing_is_left_out() -> None:
    known = catalogue_of(OWN, 180.0).by_name
    for row in draw().rows:
        assert all(known[name].low <= row[name] <= known[name].high for name in MEASURED)


def test_feast_stores_fifty_numbers_and_is_asked_for_all_of_them() -> None:
    ground = Ground(Path("nowhere"), draw())
    assert {len(row) for row in ground.values} == {len(NAMES)}
    by_name, by_service = (ground.bodies(10, by_service=each)[0] for each in (False, True))
    assert by_name["features"] == [f"vectors:{name}" for name in NAMES]
    assert by_name["entities"] == by_service["entities"]


def test_an_answer_of_feast_is_read_by_its_names() -> None:
    turned = [*reversed(NAMES)]
    results = [{"values": [float(len(name)), 0.0]} for name in turned]
    answer: dict[str, object] = {"metadata": {"feature_names": turned}, "results": results}
    assert values_of(answer) == [float(len(name)) for name in NAMES]


def test_other_values_than_those_stored_are_refused() -> None:
    refuse_other_values("a", [1.0, 2.0], [1.0, 2.0 + 1e-12])
    for wrong in ([1.0], [1.0, 2.1], [1.0, math.nan]):
        with pytest.raises(WrongAnswerError):
            refuse_other_values("a", wrong, [1.0, 2.0])


def test_ratios_are_to_the_best_of_the_others(closed: Closed) -> None:
    figures = [
        Run("feast", "names", 10, 16, closed(100, p99_ms=30.0)),
        Run("feast in process", "redis", 10, 16, closed(150, p99_ms=50.0)),
        Run("ballast", "rows", 10, 16, closed(600, p99_ms=10.0)),
        Run("ballast", "rows", 100, 16, closed(600, p99_ms=10.0)),
    ]
    (ratio,) = ratios(figures)
    assert (ratio.size, ratio.throughput, ratio.p99, ratio.enough) == (10, 4.0, 3.0, True)
    figures[0] = Run("feast", "names", 10, 16, closed(400, p99_ms=30.0))
    assert not ratios(figures)[0].enough


def test_medians_do_not_mix_sizes(closed: Closed) -> None:
    rounds = [Run("a", "x", 1, 1, closed(rps)) for rps in (1, 5, 3)]
    other = Run("a", "x", 10, 1, closed(9))
    assert [each.closed.rps for each in medians([*rounds, other])] == [3, 9]


def test_a_quantile_is_bounded_by_its_bucket() -> None:
    buckets = {0.001: 90.0, 0.002: 99.0, 0.005: 100.0, math.inf: 100.0}
    assert upper_quantile(buckets, 0.99) == 0.002
    assert upper_quantile(buckets, 0.995) == 0.005
    assert upper_quantile({1.0: 0.0, math.inf: 2.0}, 0.5) == math.inf
    assert math.isnan(upper_quantile({}, 0.5))


def test_processes_answer_with_their_times(tmp_path: Path) -> None:
    script = tmp_path / "asking.py"
    script.write_text(ASKING)
    with InProcess.opened(["python3", str(script)], {}, {1: tmp_path}) as reader:
        found = reader.measure(1, 1, 2)
    assert (found.p50_ms, found.p99_ms, found.mean_ms, found.rps) == (2.0, 3.0, 2.0, 500.0)


def test_the_report_is_written_as_json_and_as_a_table(tmp_path: Path, closed: Closed) -> None:
    report = Report(datetime(2026, 3, 2, tzinfo=UTC), {"cores": "2"}, {})
    report.runs += [
        Run("feast", "names", 1, 1, closed(100, p99_ms=30.0)),
        Run("ballast", "rows", 1, 1, closed(600, p99_ms=10.0)),
    ]
    opened = OpenLoop(10, 10, 0, 0, 1.0, 2.0, 3.0, 4.0, 0.1, 0.2)
    report.at_rate += [
        AtRate("/features/vectors", opened, 99.0, 1.0, 2.0),
        AtRate("/models/tail-slo", opened, 90.0, 10.0, 2.0),
    ]
    path = write(report, tmp_path / "results")
    assert json.loads(path.read_text())["ratios"][0]["throughput"] == 6.0
    table = path.with_suffix(".md").read_text()
    assert table == markdown(report)
    assert "| 1 entities, 1 clients | 6.0 x | 3.0 x | kept |" in table
    assert "99.00% | under 2.00 ms | kept |" in table
    assert "90.00% | under 2.00 ms | MISSED |" in table
