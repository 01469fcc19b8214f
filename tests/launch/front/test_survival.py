"""What clients see of the front while its processes are killed, stopped and replaced."""

import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from typing import Self

import httpx

from launch.front.servers import Server, publish
from launch.front.watchdog import PROCESSES
from launch.own_processes import started_at
from tests.launch.front.conftest import Front, Gateway, eventually
from tests.ports import any_free_port, is_free
from tests.stopping import stop

KILLS = 3


class Asking:
    """Clients that ask on, each time over a new connection, and note what came of it."""

    def __init__(self, front: Front) -> None:
        self.seen: Counter[str] = Counter()
        self._front = front
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._front.ask()
            except httpx.ConnectError:
                self.seen["refused"] += 1
            except httpx.TransportError:
                self.seen["broken off"] += 1  # it was under way when HAProxy was killed
            else:
                self.seen[str(answer.status_code)] += 1


def test_killed_haproxy_is_back_and_nobody_is_refused(front: Front) -> None:
    with Asking(front) as asking:
        for _ in range(KILLS):
            victim = front.haproxies()[0]
            answered = asking.seen["200"]
            eventually("clients are answered", lambda: asking.seen["200"] > answered + 20)  # noqa: B023 - called at once
            os.kill(victim, signal.SIGKILL)
            eventually("there is another", lambda: front.haproxies()[0] != victim)  # noqa: B023 - called at once
        answered = asking.seen["200"]
        eventually("clients are answered again", lambda: asking.seen["200"] > answered + 20)
    assert set(asking.seen) <= {"200", "broken off"}
    assert asking.seen["broken off"] <= KILLS * 4


def test_every_haproxy_at_once_and_the_watchdog_too(front: Front) -> None:
    watchdog = front.process.pid
    for pid in [watchdog, *front.haproxies()]:
        with suppress(ProcessLookupError):  # one that was leaving may be gone
            os.kill(pid, signal.SIGKILL)
    assert front.ask().status_code == 200
    assert front.process.pid != watchdog


def test_haproxy_goes_on_without_its_watchdog_and_gets_a_new_one(front: Front) -> None:
    watchdog, haproxy = front.process.pid, front.haproxies()[0]
    os.kill(watchdog, signal.SIGKILL)
    with Asking(front) as asking:
        eventually("there is another watchdog", lambda: front.process.pid != watchdog)
        eventually("it has its own HAProxy", lambda: front.haproxies()[:1] != [haproxy])
        eventually("the old one is gone", lambda: not lives(haproxy))
        answered = asking.seen["200"]
        eventually("clients are answered", lambda: asking.seen["200"] > answered + 20)
    assert set(asking.seen) == {"200"}


def test_one_that_its_watchdog_had_no_time_to_note_leaves_too(front: Front) -> None:
    """A watchdog can be killed between starting a HAProxy and writing down that it did."""
    watchdog, unnoted = front.process.pid, front.haproxies()[0]
    (front.folder / PROCESSES).unlink()
    os.kill(watchdog, signal.SIGKILL)
    eventually("another HAProxy is at work", front.haproxies)
    eventually("the one before is gone", lambda: not lives(unnoted))
    assert front.ask().status_code == 200


def test_a_haproxy_that_hangs_is_taken_over_from(front: Front) -> None:
    victim = front.haproxies()[0]
    stop(victim)
    eventually("another one takes over", lambda: front.haproxies()[0] != victim)
    assert front.ask().status_code == 200
    os.kill(victim, signal.SIGCONT)
    eventually("the first one leaves", lambda: not lives(victim))
    assert front.ask().status_code == 200


def test_new_gateways_are_reached_without_a_failed_request(front: Front) -> None:
    second = Gateway("two")
    with Asking(front) as asking:
        publish(front.folder, [second.server])
        eventually("the second gateway answers", lambda: len(second.asked) > 20)
    second.close()
    assert set(asking.seen) == {"200"}


def test_without_a_gateway_the_answer_is_503_with_a_time_to_come_back(empty_front: Front) -> None:
    for path in ("/", "/health", "/models/tail-slo", "/no/such/path"):
        answer = empty_front.ask(path)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "unavailable"


def test_a_gateway_that_is_gone_is_503_too(front: Front) -> None:
    publish(front.folder, [Server("gone", f"127.0.0.1:{any_free_port()}")])
    eventually("it is told so", lambda: front.ask().status_code == 503)
    assert "retry-after" in front.ask().headers


def test_it_ends_with_all_its_processes(front: Front) -> None:
    os.kill(front.haproxies()[0], signal.SIGKILL)
    eventually("it is back", lambda: front.ask().status_code == 200)
    pids = front.haproxies()
    front.process.stop()
    assert not any(lives(pid) for pid in pids)
    eventually("the port is closed", lambda: is_free(front.port))


def lives(pid: int) -> bool:
    return started_at(pid) is not None
