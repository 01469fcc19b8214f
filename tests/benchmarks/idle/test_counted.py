"""What processes take is counted as the kernel says, by kind."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.idle.counted import Count, Taken, kind_of, taken
from benchmarks.idle.run import MOST_OF_A_CORE, document, page, table
from tests.waiting import PATIENCE_SECONDS

BUSY = "import sys; print(flush=True)\nwhile True: sum(range(1000))"
WAITING = "import time; print(flush=True)\nwhile True: time.sleep(0.001)"
QUIET = "import time; print(flush=True)\nwhile True: time.sleep(600)"


@pytest.fixture
def start() -> Iterator[Callable[[str], int]]:
    begun: list[subprocess.Popen[str]] = []

    def start(program: str) -> int:
        command = [sys.executable, "-c", program]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert begun[-1].stdout is not None
        begun[-1].stdout.readline()  # by then it has started
        return begun[-1].pid

    yield start
    for each in begun:
        each.kill()
        each.communicate()


Start = Callable[[str], int]


def count_of(pid: int) -> Taken:
    found = taken(pid)
    assert found is not None
    return found


def test_who_works_and_who_is_woken_are_told_apart(start: Start) -> None:
    busy, waiting, quiet = start(BUSY), start(WAITING), start(QUIET)
    begun = {pid: count_of(pid) for pid in (busy, waiting, quiet)}
    until = time.monotonic() + PATIENCE_SECONDS
    while (
        count_of(busy).processor_s - begun[busy].processor_s < 0.2
        or count_of(waiting).waits - begun[waiting].waits < 50
    ):
        assert time.monotonic() < until
        time.sleep(0.02)
    still = count_of(quiet) - begun[quiet]
    assert still.processor_s < 0.1
    assert still.waits < 5


def test_one_that_began_later_counts_whole_and_one_that_ended_not_at_all(start: Start) -> None:
    gone, here = start(QUIET), start(QUIET)
    before = Count.of_processes([gone])
    later = Count.of_processes([here])
    ((kind, found),) = later.since(before).items()
    assert "python" in kind
    assert found == later.taken[next(iter(later.taken))]


def test_a_process_that_is_gone_is_left_out() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert taken(process.pid) is None
        assert Count.of_processes([process.pid]).taken == {}


def test_processes_have_the_names_that_people_know() -> None:
    assert kind_of("ray::ServeReplica:ballast:gateway") == "gateway"
    assert kind_of("/usr/bin/python -m launch.driver {}") == "python -m launch.driver"


def test_the_largest_comes_first_and_the_sum_last() -> None:
    rows = table({"redis": Taken(0.6, 120), "gateway": Taken(1.2, 600)}, 60.0).splitlines()[2:]
    assert rows == [
        "| gateway | 0.0200 | 10 |",
        "| redis | 0.0100 | 2 |",
        "| all | 0.0300 | 12 |",
    ]


def test_the_page_has_the_whole_table_and_says_how_it_was_measured() -> None:
    found = {"redis": Taken(0.6, 120), "gateway": Taken(1.2, 600)}
    written = page(found, 60.0, 2, 0.31)
    assert written.endswith(table(found, 60.0))
    for said in ("60 s", "2 cores", "0.31", str(MOST_OF_A_CORE)):
        assert said in written
    told: dict[str, Any] = document(found, 60.0, 2, 0.31)
    assert told["of_a_core"] == pytest.approx(0.03)
    assert told["processes"] == {
        "gateway": {"of_a_core": pytest.approx(0.02), "wake_ups_per_second": 10.0},
        "redis": {"of_a_core": pytest.approx(0.01), "wake_ups_per_second": 2.0},
    }
    assert list(told["processes"]) == ["gateway", "redis"]
