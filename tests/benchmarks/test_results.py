import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.speed.results import Report, Run, best_variant, medians, write_json
from benchmarks.speed.wrk import ClosedLoop

Closed = Callable[..., ClosedLoop]


def test_figures_are_medians_and_errors_sums(closed: Closed) -> None:
    rounds = [
        closed(100, p99_ms=9, non_2xx=1),
        closed(300, p99_ms=5, non_2xx=2),
        closed(110, p99_ms=7),
    ]
    (figure,) = medians(Run("plain", "1 worker", 64, each) for each in rounds)
    assert (figure.closed.rps, figure.closed.p99_ms, figure.closed.non_2xx) == (110, 7, 3)


def test_client_counts_and_variants_are_not_mixed(closed: Closed) -> None:
    runs = [
        Run("a", "x", 1, closed(1)),
        Run("a", "x", 64, closed(2)),
        Run("a", "y", 64, closed(3)),
    ]
    assert medians(runs) == runs


def test_the_best_variant_is_the_peers_own(closed: Closed) -> None:
    trials = [
        Run("litserve", "single", 64, closed(900)),
        Run("litserve", "batched", 64, closed(1700)),
        Run("mlserver", "in process", 64, closed(2500)),
    ]
    assert best_variant(trials, "litserve") == "batched"


def test_json_holds_the_runs_and_their_medians(tmp_path: Path, closed: Closed) -> None:
    report = Report(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), {"cores": "2"}, {"home": tmp_path})
    report.runs += [Run("plain", "1 worker", 64, closed(rps)) for rps in (10, 30, 20)]
    path = write_json(report, tmp_path / "results")
    assert path.name == "2026-01-02T03-04-05.json"
    content = json.loads(path.read_text())
    assert [run["closed"]["rps"] for run in content["runs"]] == [10, 30, 20]
    assert [run["closed"]["rps"] for run in content["figures"]] == [20]
    assert content["machine"] == {"cores": "2"}
