"""Users' functions give columns; what else they do makes their feature missing, with a reason."""

import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.definitions.definition import Definition, Function, Kind
from features.errors import FunctionFailedError
from features.functions.evaluated import Functions
from features.functions.kept import KeptModules
from tests.features.functions.conftest import Wish
from tests.waiting import PATIENCE_SECONDS

NAN = float("nan")
HEADROOM = """
import numpy as np

def f(load, active_workers):
    return np.exp(-load) * active_workers
"""
PICKY = """
import numpy as np

def f(load):
    if (load > 5).any():
        raise ValueError("no such load")
    return 1 / load
"""
ROWS = {"load": np.array([0.5, 1.0, NAN, 2.0]), "active_workers": np.array([4.0, NAN, 4.0, 8.0])}


def called(functions: Functions, definition: Definition, **columns: list[float]) -> list[float]:
    assert isinstance(definition.computed, Function)
    given = {name: np.array(each) for name, each in columns.items()}
    found: list[float] = functions.evaluate(definition, definition.computed, given).tolist()
    return found


def test_a_column_is_given_for_columns(functions: Functions, written: Wish) -> None:
    mine = written(HEADROOM, ("load", "active_workers"))
    found = called(functions, mine, **{name: each.tolist() for name, each in ROWS.items()})
    expected = np.exp(-ROWS["load"]) * ROWS["active_workers"]
    np.testing.assert_array_equal(found, expected)
    assert functions.health["mine"].state == "ok"
    assert called(functions, mine, load=[], active_workers=[]) == []


_loads = st.lists(
    st.sampled_from([NAN, 0.0, -1.0, 5.5, 9.0]) | st.floats(-10, 10), min_size=1, max_size=40
)


@given(_loads)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_row_has_what_the_function_gives_for_it_alone(
    functions: Functions, written: Wish, loads: list[float]
) -> None:
    """Rows for which it raises, or divides by zero, are missing, and no others."""
    mine = written(PICKY)
    with np.errstate(all="ignore"):
        alone = [NAN if each > 5 else float(1 / np.float64(each)) for each in loads]
    expected = [each if np.isfinite(each) else NAN for each in alone]
    np.testing.assert_array_equal(called(functions, mine, load=loads), expected)
    bad = sum(
        np.isnan(each) and np.isfinite(load) for each, load in zip(expected, loads, strict=True)
    )
    health = functions.health["mine"]
    assert health.state == ("rows missing" if bad else "ok")
    assert not bad or f"no finite number for {bad} of {len(loads)} rows" in health.why


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(load):\n    return load.mean()", "gives the shape () for 3 rows"),
        ("def f(load):\n    return load[1:]", "gives the shape (2,) for 3 rows"),
        ("def f(load):\n    return ['a'] * len(load)", "gives a column of <U1, not of numbers"),
        ("def f(load):\n    return load * 1j", "gives a column of complex128"),
        ("def f(load):\n    return load - load.mean()", "other rows"),
        ("def f(load):\n    return load.cumsum()", "other rows"),
        ("import time\ndef f(load):\n    return load + time.time_ns() % 1000", "other rows"),
        ("n = 0\ndef f(load):\n    global n\n    n += 1\n    return load + n", "other rows"),
        ("def g(load):\n    return load", "is not in its module"),
        ("f = 3", "is not in its module"),
        ("import nowhere", "raises ModuleNotFoundError: No module named 'nowhere'"),
        ("def f(load) return", "raises SyntaxError"),
        ("raise SystemExit(3)", "raises SystemExit: 3"),
        ("import os\ndef f(load):\n    os._exit(0)", "ended its process"),
        ("def f(load):\n    raise KeyboardInterrupt", "raises KeyboardInterrupt"),
    ],
)
def test_what_is_no_column_is_missing_with_a_reason(
    functions: Functions, written: Wish, text: str, reason: str
) -> None:
    mine = written(text)
    assert np.isnan(called(functions, mine, load=[1.0, 2.0, 4.0])).all()
    health = functions.health["mine"]
    assert health.state == "failing"
    assert health.why.startswith("the function own:f ")
    assert reason in health.why
    good = written("def f(load):\n    return load * 2")
    assert called(functions, good, load=[1.0]) == [2.0]
    assert functions.health["mine"].state == "ok"


def test_a_mean_over_rows_is_found_out_though_rows_come_alone(
    functions: Functions, written: Wish
) -> None:
    mine = written("def f(load):\n    return load - load.mean()")
    called(functions, mine, load=[1.0])
    assert np.isnan(called(functions, mine, load=[5.0])).all()
    assert "other rows" in functions.health["mine"].why


def test_one_that_takes_too_long_is_ended_and_left_alone_for_a_while(
    kept: KeptModules, written: Wish, tmp_path: Path
) -> None:
    now, calls = [1000.0], tmp_path / "calls"
    noted = f"    open({str(calls)!r}, 'a').write('x')\n"
    functions = Functions(kept, lambda: 3.0, wall=lambda: now[0])
    slow = written(f"def f(load):\n{noted}    while True:\n        pass")
    quick = written("def f(load):\n    return load")
    why = "the function own:f took longer than 3 s"
    try:
        # It is called once, then after a minute, and then after two.
        for seconds, called_so_far in ((0, 1), (59, 1), (2, 2), (119, 2), (2, 3)):
            now[0] += seconds
            assert np.isnan(called(functions, slow, load=[1.0])).all()
            assert len(calls.read_text()) == called_so_far
            health = functions.health["mine"]
            assert (health.state, health.why, health.since) == ("failing", why, 1000.0)
        functions._seconds = lambda: 20.0
        assert called(functions, quick, load=[3.0]) == [3.0]
    finally:
        functions.close()


@pytest.mark.parametrize("rest", ["os._exit(1)", "return load", "time.sleep(600)"])
def test_what_a_function_forks_keeps_nobody_waiting_and_ends_with_it(
    kept: KeptModules, written: Wish, tmp_path: Path, rest: str
) -> None:
    pid_file = tmp_path / "pid"
    text = (
        "import os, time\n"
        "def f(load):\n"
        "    if (child := os.fork()) == 0:\n"
        "        time.sleep(600)\n"
        f"    open({str(pid_file)!r}, 'w').write(str(child))\n"
        f"    {rest}\n"
    )
    functions = Functions(kept, lambda: 3.0)
    try:
        called(functions, written(text), load=[1.0])
        forked = int(pid_file.read_text())
        quick = written("def f(load):\n    return load")
        functions._seconds = lambda: 20.0
        assert called(functions, quick, load=[3.0]) == [3.0]
    finally:
        functions.close()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while lives(forked):
        assert time.monotonic() < deadline, "what it forked outlives it"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Tell whether a process is more than a number that nobody has waited for."""
    try:
        return str(psutil.Process(pid).status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_training_set_is_not_made_with_one_that_fails(kept: KeptModules, written: Wish) -> None:
    functions = Functions(kept, lambda: 20.0, must_give=True)
    try:
        assert np.isnan(called(functions, written(PICKY), load=[7.0])).all()
        with pytest.raises(FunctionFailedError, match="gives the shape"):
            called(functions, written("def f(load):\n    return load.mean()"), load=[1.0, 2.0])
    finally:
        functions.close()


def test_what_a_function_writes_or_prints_changes_nothing(
    functions: Functions, written: Wish
) -> None:
    text = (
        "import os\ndef f(load):\n    print('x'); os.write(1, b'y'); load[:] = 0\n    return load"
    )
    assert called(functions, written(text), load=[1.0, 2.0]) == [0.0, 0.0]
    double = "def f(load):\n    return load * 2"
    assert called(functions, written(double), load=[1.0, 2.0]) == [2.0, 4.0]


def test_it_sees_no_variable_of_the_platform(
    functions: Functions, written: Wish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@nowhere")
    text = "import os\ndef f(load):\n    return load + ('REDIS_URL' in os.environ)"
    assert called(functions, written(text), load=[1.0]) == [1.0]


def test_many_rows_and_many_threads_are_served(functions: Functions, written: Wish) -> None:
    mine = written("def f(load):\n    return load * 2")
    rows = np.arange(10_000.0)
    found: list[list[float]] = []
    threads = [
        threading.Thread(target=lambda: found.append(called(functions, mine, load=rows.tolist())))
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [(rows * 2).tolist()] * 4


def test_without_its_module_it_is_missing(functions: Functions) -> None:
    gone = Definition("mine", Kind.DERIVED, "", "", Function("own:f", ("load",), ""))
    assert np.isnan(called(functions, gone, load=[1.0])).all()
    assert "has no module that can be read" in functions.health["mine"].why
