"""Rows of several sources become one an interval: the engine's way and a plain second one."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.hours.known import HOUR
from features.hours.series import MEASURES
from features.hours.stored import stored_hours, worker_minutes
from features.telemetry import stored
from features.telemetry.columns import EXEMPLARS, Telemetry
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.hours import hours_of
from tests.measurements import Given, Values, latest, put_together, telemetry_of

START = 1_773_144_000  # 2026-03-10 12:00 UTC
CADENCE = 900
INTERVALS = 6
UNTIL = START + 2 * HOUR
EVER = 2**40
ENTITIES = ("auth", "risk")

_numbers = st.sampled_from([np.nan, np.inf, 0.0, -1.5, 2.0, 3.25, 1e300])
_rows = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("load", "request_rate", "cpu", "p50_ms", "p99_ms"), _numbers),
        "exemplars": st.sampled_from([np.full(EXEMPLARS, np.nan), np.arange(EXEMPLARS) + 0.5]),
        "session": st.sampled_from(["", "continuous", "lunch"]),
        "regime": st.integers(0, 2),
        "deploy": st.integers(0, 1),
        "incident": st.sampled_from(["", "outage"]),
    },
)
_keys = st.tuples(
    st.sampled_from(ENTITIES),
    st.integers(0, INTERVALS - 1).map(lambda at: START + at * CADENCE),
)
# Around the intervals' own times, so that some are known before they begin.
_known = st.integers(0, 8).map(lambda at: (START + (2 * at - 3) * 450) * 1000)
_given = st.lists(
    st.builds(
        Given,
        st.sampled_from(["a", "b", "prometheus"]),
        _known,
        st.dictionaries(_keys, _rows, min_size=1, max_size=6),
    ),
    max_size=6,
    unique_by=lambda each: (each.source, each.known_ms),
)
_moments = st.none() | _known

a_few = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Of those that ask every reader several times.
fewer = settings(a_few, max_examples=6)


def hold(store: EmbeddedClickhouse, given: Iterable[Given]) -> None:
    store.execute("TRUNCATE TABLE measurements")
    add(store, given)


def add(store: EmbeddedClickhouse, given: Iterable[Given]) -> None:
    for source, known_ms, rows in given:
        append(store, telemetry_of(rows), source=source, known_ms=known_ms)


def same(one: Telemetry, other: Telemetry) -> None:
    for name, values in one.columns().items():
        np.testing.assert_array_equal(values, other.columns()[name], err_msg=name)


@given(_given, _moments)
@a_few
def test_each_column_takes_its_latest_known_number(
    empty: EmbeddedClickhouse, given: list[Given], moment: int | None
) -> None:
    hold(empty, given)
    expected = put_together(given, moment)
    same(stored.between(empty, START, UNTIL, known_until_ms=moment), expected)
    auth = expected.rows(expected.entity == "auth")
    found = stored.between(empty, START, UNTIL, entities=("auth",), known_until_ms=moment)
    same(found, auth)
    loads = stored.metric(empty, "auth", "load", START, UNTIL, known_until_ms=moment)
    np.testing.assert_array_equal(loads, auth.load)
    times, again = stored.timed_metric(empty, "auth", "load", START, UNTIL, known_until_ms=moment)
    np.testing.assert_array_equal(times, auth.ts)
    np.testing.assert_array_equal(again, auth.load)
    for reader in (stored.training_rows, worker_minutes):
        for name, values in reader(empty, START, UNTIL, known_until_ms=moment).items():
            np.testing.assert_array_equal(values, expected.columns()[name], err_msg=name)


@given(_given, _moments)
@a_few
def test_what_is_computed_is_computed_of_intervals_and_not_of_rows(
    empty: EmbeddedClickhouse, given: list[Given], moment: int | None
) -> None:
    hold(empty, given)
    expected = put_together(given, moment)
    seen = np.unique(expected.entity).tolist()
    last = {each: int(expected.ts[expected.entity == each].max()) for each in seen}
    assert stored.newest(empty, known_until_ms=moment) == last

    rows = latest(empty, ENTITIES, {}, UNTIL, known_until_ms=moment)
    assert {entity: row.event_time for entity, row in rows.items()} == last
    for entity, row in rows.items():
        newest = expected.rows((expected.entity == entity) & (expected.ts == last[entity]))
        for name, value in row.values.items():
            assert [value] == pytest.approx(newest.columns()[name].tolist(), rel=0, nan_ok=True)

    normal = stored.baselines(empty, UNTIL, known_until_ms=moment)
    assert sorted(normal) == seen
    for entity in seen:
        own = expected.p50_ms[expected.entity == entity]
        own = own[np.isfinite(own)]
        median = np.median(own) if own.size else np.nan
        assert normal[entity]["baseline_ms"] == pytest.approx(median, rel=1e-12, nan_ok=True)

    hours, again = stored_hours(empty, UNTIL, 1, known_until_ms=moment), hours_of(expected, UNTIL)
    assert sorted(hours) == sorted(again)
    for entity in hours:
        for name in MEASURES:
            assert getattr(hours[entity], name) == pytest.approx(
                getattr(again[entity], name), rel=1e-12, nan_ok=True
            )


def answers(store: EmbeddedClickhouse, moment: int | None) -> list[str]:
    """Ask every reader what it would have said then."""
    readers: list[Callable[..., Any]] = [
        lambda **when: stored.between(store, 0, EVER, **when).columns(),
        lambda **when: stored.training_rows(store, 0, EVER, **when),
        lambda **when: worker_minutes(store, 0, EVER, **when),
        lambda **when: stored.metric(store, "auth", "load", 0, EVER, **when),
        lambda **when: stored.newest(store, **when),
        lambda **when: latest(store, ENTITIES, {}, UNTIL, **when),
        lambda **when: stored.baselines(store, UNTIL, **when),
        lambda **when: stored_hours(store, UNTIL, 2, **when),
    ]
    return [_text(reader(known_until_ms=moment)) for reader in readers]


def _text(answer: Any) -> str:
    if isinstance(answer, dict):
        return str({name: _text(each) for name, each in sorted(answer.items())})
    return str(answer.tolist()) if isinstance(answer, np.ndarray) else str(answer)


@given(_given, _given, _known)
@fewer
def test_what_was_known_then_is_not_changed_by_what_comes_later(
    empty: EmbeddedClickhouse, early: list[Given], late: list[Given], moment: int
) -> None:
    early = [each for each in early if each.known_ms <= moment]
    late = [each._replace(known_ms=each.known_ms + 8 * HOUR * 1000) for each in late]
    hold(empty, early)
    before = answers(empty, moment)
    add(empty, late)
    assert answers(empty, moment) == before


@given(_given)
@fewer
def test_a_repeated_insert_and_the_engines_own_merging_change_no_answer(
    empty: EmbeddedClickhouse, given: list[Given]
) -> None:
    hold(empty, given)
    before = answers(empty, None)
    add(empty, given)
    assert answers(empty, None) == before
    empty.execute("OPTIMIZE TABLE measurements FINAL")
    assert answers(empty, None) == before
    (counted,) = empty.query("SELECT count() AS n FROM measurements")
    assert counted["n"] == sum(len(each.rows) for each in given)


def test_two_posts_of_one_source_within_a_millisecond_are_both_kept(
    empty: EmbeddedClickhouse,
) -> None:
    key = ("auth", START)
    add(empty, [Given("push", 5, {key: {"load": 0.5}}), Given("push", 5, {key: {"cpu": 0.25}})])
    add(empty, [Given("push", 5, {key: {"infra": value}}) for value in (0.1, 0.2)])
    rest: list[Values] = [
        {"deploy": 1},
        {"regime": 2},
        {"session": "lunch"},
        {"incident": "outage"},
        {"exemplars": np.arange(EXEMPLARS) + 0.5},
    ]
    add(empty, [Given("push", 5, {key: each}) for each in rest])
    before = answers(empty, None)
    empty.execute("OPTIMIZE TABLE measurements FINAL")
    assert answers(empty, None) == before
    found = stored.between(empty, START, UNTIL)
    assert (found.load.tolist(), found.cpu.tolist()) == ([0.5], [0.25])
    assert found.infra[0] in {0.1, 0.2}
    assert (found.deploy.tolist(), found.regime.tolist()) == ([1], [2])
    assert (found.session.tolist(), found.incident.tolist()) == (["lunch"], ["outage"])
    assert np.isfinite(found.exemplars).all()
