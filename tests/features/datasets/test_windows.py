"""Windows over rows that were read once are those that the engine computes, to the last bit."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.datasets.rows import read_rows
from features.datasets.windows import Moments, is_known, values_of
from features.definitions.definition import Statistic, Window
from features.telemetry.merged import Scope
from features.telemetry.rolling import rolling
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import Given, telemetry_of

START = 1_773_144_000
HOUR = 3600
STATISTICS: tuple[tuple[Statistic, float | None], ...] = (
    *(("mean", None), ("sd", None), ("min", None), ("max", None), ("last", None)),
    *(("quantile", 0.0), ("quantile", 0.3), ("quantile", 0.95), ("quantile", 1.0)),
)
WINDOWS = {
    f"{column} {statistic} {quantile}": Window(column, statistic, HOUR, 60, quantile)
    for column in ("cpu", "p99_ms")
    for statistic, quantile in STATISTICS
}

_numbers = st.sampled_from([np.nan, 0.0, -0.0, 0.1, 0.3, 1e300]) | st.floats(-1e4, 1e4)
_rows = st.dictionaries(
    st.tuples(st.just("auth"), st.integers(0, 90).map(lambda at: START + 60 * at)),
    st.fixed_dictionaries({}, optional={"cpu": _numbers, "p99_ms": _numbers}),
    min_size=1,
    max_size=40,
)
_given = st.lists(
    st.builds(
        Given,
        st.sampled_from(["a", "b"]),
        st.integers(0, 100).map(lambda at: (START + 60 * at) * 1000),
        _rows,
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda each: (each.source, each.known_ms),
)
_ends = st.lists(st.integers(0, 110), min_size=1, max_size=8, unique=True)


@given(_given, _ends)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_they_are_the_engines(
    empty: EmbeddedClickhouse, history: list[Given], ends: list[int]
) -> None:
    empty.execute("TRUNCATE TABLE measurements")
    for each in history:
        append(empty, telemetry_of(each.rows), source=each.source, known_ms=each.known_ms)
    at = START + 60 * np.array(ends)
    moments = Moments(at, at * 1000)
    ((_, rows),) = read_rows(empty, ("cpu", "p99_ms"), Scope(0, 2**31, ("auth",)))
    found = values_of(rows, [*WINDOWS.values()], HOUR, moments)
    known = is_known(rows, moments, HOUR)
    for row, end in enumerate(at.tolist()):
        scope = Scope(end - HOUR, end, ("auth",), end * 1000)
        expected = rolling(empty, WINDOWS, scope).get("auth")
        assert known[row] == (expected is not None)
        values = [np.nan] * len(WINDOWS) if expected is None else [*expected.values()]
        np.testing.assert_array_equal(found[row], values, err_msg=str(end - START))
