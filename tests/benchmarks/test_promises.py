from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.speed.promises import promises
from benchmarks.speed.results import Report, Run
from benchmarks.speed.wrk import ClosedLoop


def report_of(runs: list[Run]) -> Report:
    return Report(datetime(2026, 1, 2, tzinfo=UTC), {}, {}, runs=runs)


def test_ballast_is_held_against_the_best_server_the_plain_program_and_litserves_p99(
    runs: list[Run],
) -> None:
    found = {promise.text: promise for promise in promises(report_of(runs))}
    best = found["requests a second at 64 clients, as a multiple of mlserver's"]
    plain = found["requests a second at 64 clients, as a multiple of plain's"]
    assert (round(best.measured, 3), best.bound, best.kept) == (2.247, 2.0, True)
    assert (round(plain.measured, 3), plain.bound, plain.kept) == (1.333, 1.0, True)
    assert not found["p99 at 64 clients, ms, below LitServe's"].kept, "equal is not below"
    assert found["p50 at 1 client, ms"].kept


def test_a_slower_ballast_misses(runs: list[Run], closed: Callable[..., ClosedLoop]) -> None:
    slow = [
        replace(run, closed=closed(2900, p50_ms=6)) if run.contender == "ballast" else run
        for run in runs
    ]
    assert not any(promise.kept for promise in promises(report_of(slow)))


def test_nothing_is_claimed_without_all_three_servers(runs: list[Run]) -> None:
    some = [run for run in runs if run.contender != "bentoml"]
    texts = [promise.text for promise in promises(report_of(some))]
    assert not any("mlserver" in text for text in texts)
    assert promises(report_of([run for run in runs if run.contender != "ballast"])) == []
