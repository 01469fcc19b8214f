import math
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.fill import Filled, FloatArray, Freshness, fill
from features.rows import FeatureRow

NEEDED = ("load", "infra", "baseline_ms")
OPTIONAL = ("infra", "error_rate")
PREFERRED = {"load": "cpu"}
FRESH = Freshness(now=1_000.0, stale_after_seconds=120.0)
FRESH_AT, OLD_AT = 900.0, 800.0

VALUES = st.floats(allow_nan=False, allow_infinity=False)
PERHAPS = st.one_of(st.just(math.nan), VALUES)
ROWS = st.builds(
    FeatureRow,
    st.dictionaries(st.sampled_from((*NEEDED, "cpu")), PERHAPS),
    st.sampled_from((FRESH_AT, OLD_AT)),
)


class Case(NamedTuple):
    entities: list[str]
    given: dict[str, FloatArray]
    rows: dict[str, FeatureRow | None]
    defaults: dict[str, float]

    def fill(self) -> Filled:
        given = (NEEDED, self.entities, self.given, self.rows, self.defaults)
        return fill(*given, FRESH, optional=OPTIONAL, preferred=PREFERRED)

    def alone(self, row: int) -> "Case":
        given = {name: column[row : row + 1] for name, column in self.given.items()}
        return self._replace(entities=[self.entities[row]], given=given)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    entities = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6))
    n = len(entities)
    columns = st.lists(PERHAPS, min_size=n, max_size=n).map(np.array)
    return Case(
        entities,
        draw(st.dictionaries(st.sampled_from((*NEEDED, "slo_ms")), columns)),
        draw(st.dictionaries(st.sampled_from("abc"), st.none() | ROWS)),
        draw(st.dictionaries(st.sampled_from(NEEDED), VALUES)),
    )


class Cell(NamedTuple):
    value: float
    stale: bool
    assumed: bool
    missing: bool = False


def expected(case: Case, row: int, name: str) -> Cell:
    """One cell at a time, as the contract tells it."""
    asked = case.given[name][row] if name in case.given else math.nan
    if not math.isnan(asked):
        return Cell(asked, stale=False, assumed=False)
    known = case.rows.get(case.entities[row])
    if known is not None and not known.values:  # it was withdrawn
        known = None
    stored = math.nan if known is None else known.values.get(name, math.nan)
    better = math.nan if known is None else known.values.get(PREFERRED.get(name, ""), math.nan)
    stored = stored if math.isnan(better) else better
    if known is not None and math.isnan(stored) and name in OPTIONAL:
        return Cell(math.nan, stale=False, assumed=False, missing=True)
    if known is None or math.isnan(stored):
        return Cell(case.defaults.get(name, math.nan), stale=False, assumed=True)
    return Cell(stored, stale=known.event_time == OLD_AT, assumed=False)


@given(cases())
def test_every_cell_comes_from_the_request_else_the_row_else_the_defaults(case: Case) -> None:
    filled = case.fill()
    assert tuple(filled.columns) == NEEDED
    for row in range(len(case.entities)):
        for name in NEEDED:
            found = Cell(
                filled.columns[name][row],
                name in filled.stale.get(row, ()),
                name in filled.assumed.get(row, ()),
                name in filled.missing.get(row, ()),
            )
            np.testing.assert_equal(found, expected(case, row, name))
        known = case.rows.get(case.entities[row])
        measured = known is not None and bool(known.values)
        time = known.event_time if known is not None and measured else math.nan
        np.testing.assert_equal(filled.event_time[row], time)


@given(cases())
def test_a_row_is_filled_alike_alone_and_among_others(case: Case) -> None:
    together = case.fill()
    for row in range(len(case.entities)):
        alone = case.alone(row).fill()
        for name in NEEDED:
            assert alone.columns[name].tobytes() == together.columns[name][row].tobytes()
        assert alone.stale.get(0) == together.stale.get(row)
        assert alone.assumed.get(0) == together.assumed.get(row)
        assert alone.missing.get(0) == together.missing.get(row)


@given(cases())
def test_filling_leaves_what_was_given_as_it_is(case: Case) -> None:
    before = {name: column.tobytes() for name, column in case.given.items()}
    case.fill()
    assert {name: column.tobytes() for name, column in case.given.items()} == before


def test_rows_that_needed_nothing_are_named_nowhere() -> None:
    whole = {name: np.array([0.5, 0.5]) for name in NEEDED}
    filled = fill(NEEDED, ["a", "b"], whole, {}, {}, FRESH)
    assert (filled.stale, filled.assumed) == ({}, {})


def test_a_row_turns_stale_only_after_the_limit() -> None:
    for age, names in ((120.0, ()), (120.5, ("load",))):
        row = FeatureRow({"load": 0.5}, FRESH.now - age)
        assert fill(("load",), ["a"], {}, {"a": row}, {}, FRESH).stale.get(0, ()) == names
