"""Why each replica is missing, by what was seen and decided before."""

import pytest

from deployments.runtime.autoscaling.pending import ON_ITS_WAY_SECONDS, Asked, Pending, Standing


class Told:
    """One deployment, shown as it is at each decision, which are a second apart."""

    def __init__(self) -> None:
        self.now = 0.0
        self._pending = Pending(lambda: self.now)

    def look(
        self,
        running: int,
        wanted: int,
        *,
        decided: int | None = None,
        least: int = 1,
        cpus: float = 0.2,
    ) -> Standing:
        self.now += 1
        found = self._pending.look("tail", Asked(running, wanted, least, cpus))
        self._pending.decide("tail", wanted if decided is None else decided)
        return found

    def missing(self, running: int, wanted: int, decided: int | None = None) -> tuple[int, int]:
        """Give how many are coming, and how many are in doubt."""
        found = self.look(running, wanted, decided=decided)
        return found.coming, found.in_doubt


@pytest.fixture
def told() -> Told:
    return Told()


def test_what_the_policy_asked_for_is_on_its_way(told: Told) -> None:
    told.look(1, 1, decided=2)
    told.look(1, 1, decided=2)  # while Serve's delay lasts
    assert told.missing(1, 2) == (1, 0)
    assert told.missing(2, 2) == (0, 0)


def test_what_was_lost_is_on_its_way_again(told: Told) -> None:
    told.look(3, 3)
    assert told.missing(1, 3) == (2, 0)
    assert told.missing(2, 3) == (1, 0)
    assert told.missing(3, 3) == (0, 0)


def test_what_somebody_else_asked_for_is_in_doubt(told: Told) -> None:
    told.look(1, 1)
    assert told.missing(1, 8) == (0, 7)
    assert told.missing(4, 8) == (0, 4)


def test_one_of_each_is_told_apart(told: Told) -> None:
    told.look(1, 1)
    told.look(1, 8)
    told.look(4, 8)
    assert told.missing(3, 8) == (1, 4)  # one was killed


def test_on_its_way_is_nobody_for_ever(told: Told) -> None:
    told.look(1, 1, decided=2)
    told.look(1, 2)
    told.now += ON_ITS_WAY_SECONDS - 2
    assert told.missing(1, 2) == (1, 0)
    assert told.missing(1, 2) == (0, 1)


def test_each_has_its_own_time(told: Told) -> None:
    told.look(2, 2, decided=3)
    told.look(2, 3)
    told.now += ON_ITS_WAY_SECONDS / 2
    assert told.missing(1, 3) == (2, 0)
    told.now += ON_ITS_WAY_SECONDS / 2
    assert told.missing(1, 3) == (1, 1)


def test_what_was_taken_away_is_not_missing(told: Told) -> None:
    told.look(3, 3, decided=2)
    told.look(3, 2)
    assert told.missing(2, 2) == (0, 0)
    assert told.missing(2, 3) == (0, 1)  # nor is it on its way later on


def test_a_controller_that_has_just_begun_finds_again_what_runs(told: Told) -> None:
    assert told.missing(0, 3) == (3, 0)
    assert told.missing(3, 3) == (0, 0)


def test_a_bound_is_lowered_once(told: Told) -> None:
    assert told.look(2, 2, least=2).lowered_by == 0
    assert told.look(2, 5, least=5).lowered_by == 0
    assert told.look(2, 5, least=1).lowered_by == 4
    assert told.look(2, 5, least=1).lowered_by == 0


def test_what_a_replica_reserves_is_known_while_none_runs(told: Told) -> None:
    told.look(1, 1)
    assert told.look(0, 1, cpus=0.0).cpus == 0.2
