"""The free CPUs are known without waiting for whoever tells them."""

import threading

import pytest

from deployments.runtime.autoscaling.room import ASK_AGAIN_SECONDS, KNOWN_SECONDS, Room, take
from tests.waiting import wait_until


class Ray:
    """Answers when it is let, and may fail."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0
        self.free = [1.0]

    def free_cpus(self) -> list[float]:
        self.asked += 1
        assert self.answers.wait(60)
        if not self.free:
            raise ConnectionError("the control store is away")
        return self.free


def test_one_that_hangs_holds_nobody_up_and_is_asked_once() -> None:
    ray = Ray()
    room = Room(ray.free_cpus, lambda: 100.0)
    assert [room.free_cpus() for _ in range(5)] == [None] * 5
    assert ray.asked == 1
    ray.answers.set()
    wait_until(lambda: room.free_cpus() == [1.0])


def test_what_was_told_is_asked_anew_and_known_only_for_a_while() -> None:
    ray, now = Ray(), 0.0
    ray.answers.set()
    room = Room(ray.free_cpus, lambda: now)
    wait_until(lambda: room.free_cpus() == [1.0])
    ray.free = [0.5]
    now += 2 * ASK_AGAIN_SECONDS
    wait_until(lambda: room.free_cpus() == [0.5])
    ray.answers.clear()
    now += 2 * KNOWN_SECONDS
    assert room.free_cpus() is None
    ray.answers.set()


def test_a_failure_is_said_and_does_not_end_the_asking(caplog: pytest.LogCaptureFixture) -> None:
    ray, now = Ray(), 0.0
    ray.free = []
    ray.answers.set()
    room = Room(ray.free_cpus, lambda: now)
    assert room.free_cpus() is None
    wait_until(lambda: "no replica is added" in caplog.text)
    ray.free = [2.0]
    wait_until(lambda: room.free_cpus() == [2.0])


def test_a_place_is_on_one_node_and_taken_once() -> None:
    free = [0.3, 0.5]
    assert [take(free, 0.25) for _ in range(4)] == [True, True, True, False]
    assert free == pytest.approx([0.05, 0.0])
    assert not take([], 0.1)
    assert take([0.6 - 0.4], 0.2)  # a little less than 0.2, as computers add
