import os
import signal
from collections.abc import Iterator

import pytest

from deployments.launch.ending import NUMBERS, Ending


@pytest.fixture
def heard() -> Iterator[list[str]]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield []
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_wish_during_the_start_is_heard_and_one_more_breaks_it_off(heard: list[str]) -> None:
    ending = Ending(heard.append)
    ending.listen()
    assert not ending.wished
    os.kill(os.getpid(), signal.SIGINT)
    assert ending.wait(0)
    assert "once more" in heard[0]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_what_is_being_ended_is_not_interrupted(heard: list[str]) -> None:
    ending = Ending(heard.append)
    ending.listen()
    ending.settle()
    for number in NUMBERS:
        os.kill(os.getpid(), number)
    assert ending.wished
    assert ending.wait(0)
    assert heard == []
