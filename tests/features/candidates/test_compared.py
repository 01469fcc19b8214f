"""What two versions give is compared by the bounds of the configuration, and by nothing else."""

from collections.abc import Callable

import numpy as np
import pytest

from features.candidates.bounds import CandidateBounds
from features.candidates.compared import VersionRows, compare, outside

BOUNDS = CandidateBounds()
ENTITIES, INTERVALS = 20, 60
Change = Callable[[VersionRows], VersionRows]


def given() -> VersionRows:
    random = np.random.default_rng(3)
    entity = np.repeat(np.array([f"shop-{at}" for at in range(ENTITIES)]), INTERVALS)
    latency = random.lognormal(3, 0.5, len(entity))
    errors = np.where(random.random(len(entity)) < 0.9, 0.0, 0.02)
    return VersionRows(entity, {"p99_ms": latency, "error_rate": errors}, INTERVALS)


def with_(before: VersionRows, **columns: np.ndarray) -> VersionRows:
    return before._replace(columns={**before.columns, **columns})


def rows(before: VersionRows, chosen: np.ndarray) -> VersionRows:
    columns = {name: each[chosen] for name, each in before.columns.items()}
    return before._replace(entity=before.entity[chosen], columns=columns)


def missing(before: VersionRows, share: float) -> VersionRows:
    numbers = before.columns["p99_ms"].copy()
    numbers[: int(share * len(numbers))] = np.nan
    return with_(before, p99_ms=numbers)


def times(factor: float) -> Change:
    return lambda before: with_(before, p99_ms=before.columns["p99_ms"] * factor)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda before: before, set()),
        (times(1.9), set()),
        (times(2.1), {"quantile 0.5 of p99_ms"}),
        (times(0.4), {"quantile 0.5 of p99_ms"}),
        (
            times(1000.0),
            {f"quantile {each} of p99_ms" for each in (0.05, 0.5, 0.95)},
        ),
        (
            lambda before: with_(
                before, **{f"more_{at}": np.ones(len(before.entity)) for at in range(10)}
            ),
            set(),
        ),
        (lambda before: missing(before, 0.09), set()),
        (
            lambda before: missing(before, 0.12),
            {"share of p99_ms that is missing"},
        ),
        (
            lambda before: missing(before, 1.0),
            {"share of p99_ms that is missing"},
        ),
        (lambda before: rows(before, before.entity != "shop-3"), set()),
        (
            lambda before: rows(before, ~np.isin(before.entity, ["shop-3", "shop-4", "shop-5"])),
            {"entities that were there"},
        ),
        (
            lambda before: rows(before, np.arange(len(before.entity)) % 4 != 0),
            {"rows an interval"},
        ),
        (
            lambda before: before._replace(entity=np.char.add("pod-", before.entity)),
            {"entities that were there"},
        ),
        (
            lambda before: before._replace(columns={"error_rate": before.columns["error_rate"]}),
            {"p99_ms is there"},
        ),
        (
            lambda before: with_(before, error_rate=np.zeros(len(before.entity))),
            {"quantile 0.95 of error_rate"},
        ),
    ],
)
def test_each_planted_fault_is_found_and_nothing_else(change: Change, found: set[str]) -> None:
    before = given()
    far = {each.of for each in outside(compare(before, change(before), BOUNDS))}
    assert far == found


def test_entities_without_end_are_too_many_rows_and_bytes() -> None:
    before = given()
    pods = [before._replace(entity=np.char.add(before.entity, f"-{at}")) for at in range(4)]
    every = [before, *pods]
    columns = {
        name: np.concatenate([each.columns[name] for each in every]) for name in before.columns
    }
    after = VersionRows(np.concatenate([each.entity for each in every]), columns, INTERVALS)
    far = {each.of for each in outside(compare(before, after, BOUNDS))}
    assert far == {"rows an interval", "bytes an interval"}
    wide = CandidateBounds(most_rows=5, most_size=10)
    assert not outside(compare(before, after, wide))


def test_what_may_be_lost_is_said_by_the_bounds() -> None:
    before = given()
    after = before._replace(columns={"p99_ms": before.columns["p99_ms"]})
    assert outside(compare(before, after, BOUNDS))
    assert not outside(compare(before, after, CandidateBounds(may_lose=True)))


@pytest.mark.parametrize("numbers", [True, False])
def test_where_nothing_was_before_any_number_will_do(numbers: bool) -> None:
    there = given()
    before = rows(there, np.zeros(len(there.entity), dtype=bool))
    after = there if numbers else missing(rows(there, there.entity == "x"), 1.0)
    assert bool(outside(compare(before, after, BOUNDS))) is not numbers


def test_a_figure_says_what_was_how_it_is_and_what_it_may_be() -> None:
    before = given()
    (first, *_) = outside(compare(before, times(1000.0)(before), BOUNDS))
    assert "quantile 0.05 of p99_ms: " in str(first)
    assert "(at most 5 times as much, or as little)" in str(first)
