"""The bench of the hot path: it times each part of this checkout, and says what is dearer."""

from benchmarks.speed.hot_path import REPOSITORY, Cost, measure, table
from benchmarks.speed.hot_path_costs import ROWS, built, first_of, newer

STAGE, RULES = ("safety stage", 8), ("200 rules, nothing broken", 64)


def test_each_part_of_this_checkout_is_timed() -> None:
    (found,) = measure([REPOSITORY], 1)
    parts = ("safety stage", "safety stage, a warning", "gateway", "gateway, in a canary")
    assert {(name, rows) for name in parts for rows in ROWS} | {RULES} <= found.keys()
    assert all(0 < cost.least <= cost.median for cost in found.values())
    # Rows of one batch share their way.
    for name in parts:
        assert found[name, 64].least < 64 * found[name, 1].least


def test_a_table_says_by_how_much_a_part_is_dearer_than_before() -> None:
    now = {STAGE: Cost(30.0, 31.0), RULES: Cost(200.0, 220.0)}
    _, stage, rules = table(now, {STAGE: Cost(25.5, 26.0)}).splitlines()
    assert stage.split() == ["safety", "stage", "8", "25.5", "26.0", "30.0", "31.0", "+4.5"]
    assert rules.split()[4:] == ["64", "-", "-", "200.0", "220.0"]
    assert table(now).splitlines()[1].split() == ["safety", "stage", "8", "30.0", "31.0"]


def test_a_cost_is_the_least_and_the_median_of_its_parts() -> None:
    assert Cost.of([5.0, 1.0, 9.0]) == (1.0, 5.0)


def test_what_an_older_checkout_has_not_is_left_out() -> None:
    assert newer("benchmarks.no_such_module") is None
    assert newer("benchmarks.speed") is not None
    assert first_of("benchmarks.speed.moved.here", "benchmarks.speed") is newer("benchmarks.speed")
    assert built(lambda rows: rows, rows=1, columns=2) == 1
