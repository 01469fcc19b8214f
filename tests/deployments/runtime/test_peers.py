"""Who counts as alive, whatever the clocks of the others show."""

from dataclasses import dataclass

import orjson
import pytest

from deployments.runtime.peers import Peers

ALIVE = 3.0
OTHER = "other"


@dataclass
class Clocks:
    """Two clocks that stand until they are set, and show different times."""

    now: float = 1_000.0
    wall_ahead: float = 500.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_ahead


def written(at: float) -> bytes:
    return orjson.dumps({"at": at})


@pytest.mark.parametrize("differs_by", [-1e6, -10.0, -1.0, 0.0, 1.0, 10.0, 1e6])
def test_who_writes_each_second_is_alive_from_the_second_look_on(differs_by: float) -> None:
    clocks = Clocks()
    peers = Peers(ALIVE, clocks)
    for second in range(10):
        gone = peers.gone({OTHER: written(clocks.wall() + differs_by)})
        assert not gone or second == 0
        clocks.now += 1.0


@pytest.mark.parametrize("differs_by", [-1e6, 0.0, 1e6])
def test_who_writes_nothing_new_is_gone_after_a_while(differs_by: float) -> None:
    clocks = Clocks()
    peers = Peers(ALIVE, clocks)
    peers.gone({OTHER: written(clocks.wall() + differs_by - 1.0)})
    last = written(clocks.wall() + differs_by)
    found = []
    for _ in range(6):
        found.append(peers.gone({OTHER: last}))
        clocks.now += 1.0
    assert found == [set(), set(), set(), set(), {OTHER}, {OTHER}]


def test_who_died_long_before_it_is_seen_is_gone_at_once() -> None:
    clocks = Clocks()
    assert Peers(ALIVE, clocks).gone({OTHER: written(clocks.wall() - 60.0)}) == {OTHER}


def test_who_is_seen_for_the_first_time_and_wrote_just_now_is_alive() -> None:
    clocks = Clocks()
    assert Peers(ALIVE, clocks).gone({OTHER: written(clocks.wall() - 1.0)}) == set()


@pytest.mark.parametrize("other", [b"{", b"[1]", b"1", b'{"at": null}', b'{"at": "x"}'])
def test_what_another_release_writes_is_alive_while_it_changes(other: bytes) -> None:
    peers = Peers(ALIVE, Clocks())
    assert peers.gone({OTHER: other}) == {OTHER}
    assert peers.gone({OTHER: other + b" "}) == set()
