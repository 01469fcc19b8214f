"""A signal may come at any moment of whoever waits for it; none may be one in which it hangs."""

import signal
import subprocess
import sys
import threading
import time

from launch.stop_request import StopRequest
from launch.stop_signals import StopSignals
from tests.waiting import PATIENCE_SECONDS

# A threading.Event in the request's place hangs in one of the first hundred rounds.
ROUNDS = 2_000
INTERRUPTED = f"""
import random, signal, sys
from launch.stop_signals import StopSignals
draw = random.Random(1)
for number in range({ROUNDS}):
    stop = StopSignals(lambda _: None)
    stop.listen()
    signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-6, 3e-4))
    while not stop.wait(draw.choice([0.0, 1e-4])):
        pass
print("ended")
"""


def test_a_request_that_comes_at_any_moment_of_a_wait_is_heard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


def test_it_wakes_everybody_who_waits_and_stays_made() -> None:
    request, woken = StopRequest(), list[bool]()
    waiting = [
        threading.Thread(target=lambda: woken.append(request.wait(PATIENCE_SECONDS)))
        for _ in range(3)
    ]
    for thread in waiting:
        thread.start()
    assert not request.wait(0.01)
    for _ in range(100_000):  # more than the pipe takes
        request.make()
    for thread in waiting:
        thread.join(PATIENCE_SECONDS)
    assert woken == [True] * 3
    assert request.wait(PATIENCE_SECONDS)


def test_a_wait_in_vain_takes_its_time() -> None:
    began = time.monotonic()
    assert not StopRequest().wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_a_first_signal_at_an_output_that_is_busy_is_heard_all_the_same() -> None:
    """Python refuses to write from a handler where it has interrupted a write."""

    def busy(_: str) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")

    stop = StopSignals(busy)
    stop._on_signal(signal.SIGINT, None)
    assert stop.requested
