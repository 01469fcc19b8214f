"""A process that ends is seen to have ended, and no other one is taken for it."""

import os
import subprocess
import sys
from pathlib import Path

from launch import own_processes
from launch.process_end import ProcessEnd
from tests.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def started(process: "subprocess.Popen[bytes]") -> float:
    found = own_processes.started_at(process.pid)
    assert found is not None
    return found


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_has_come_once_the_process_is_dead_though_nobody_waited_for_it() -> None:
    open_before = handles()
    with subprocess.Popen(SLEEP) as process:
        end = ProcessEnd(process.pid, started(process))
        assert not end.has_come
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wait_until(lambda: end.has_come)
    assert handles() == open_before


def test_another_process_of_the_same_number_is_not_it() -> None:
    with subprocess.Popen(SLEEP) as process:
        end = ProcessEnd(process.pid, started(process) - 1.0)
        assert end.has_come
        process.kill()


def test_of_a_number_that_nobody_has_it_has_come() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        began = started(process)
        process.wait()
    open_before = handles()
    assert ProcessEnd(process.pid, began).has_come
    assert handles() == open_before


def test_closing_leaves_no_handle() -> None:
    open_before = handles()
    with subprocess.Popen(SLEEP) as process:
        end = ProcessEnd(process.pid, started(process))
        end.close()
        end.close()
        assert end.has_come
        process.kill()
    assert handles() == open_before
