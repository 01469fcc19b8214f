import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from launch.stop_signals import NUMBERS, StopSignals


@pytest.fixture
def heard() -> Iterator[list[str]]:
    before = {number: signal.getsignal(number) for number in (*NUMBERS, signal.SIGALRM)}
    yield []
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.unraisablehook = sys.__unraisablehook__
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_request_during_the_start_is_heard_and_one_more_breaks_it_off(heard: list[str]) -> None:
    stop = StopSignals(heard.append)
    stop.listen()
    assert not stop.requested
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.wait(0)
    assert "Ctrl-C again" in heard[0]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


class Deaf:
    """Python lets no exception out of a destructor."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


def test_what_goes_unheard_is_raised_again_until_the_start_is_left(
    heard: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    stop = StopSignals(heard.append)
    stop.listen()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the signal comes in the middle
        Deaf()
        time.sleep(60)
    stop.settle()
    time.sleep(0.4)
    assert "Traceback" not in capfd.readouterr().err


def test_what_is_being_ended_is_not_interrupted(heard: list[str]) -> None:
    stop = StopSignals(heard.append)
    stop.listen()
    stop.settle()
    for number in NUMBERS:
        os.kill(os.getpid(), number)
    assert stop.requested
    assert stop.wait(0)
    assert heard == []
