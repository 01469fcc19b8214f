import pytest

from benchmarks.chaos.schedule import STOPPED_SECONDS, Action, Step, plan
from benchmarks.chaos.targets import TARGETS

SEEDS = range(30)


def faults_of(steps: list[Step]) -> list[tuple[str, Action]]:
    return [(fault.target, fault.action) for step in steps for fault in step.faults]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_campaign_and_another_gives_another(seed: int) -> None:
    assert plan(seed, 40) == plan(seed, 40)
    assert plan(seed, 40) != plan(seed + 1, 40)


@pytest.mark.parametrize("faults", [1, 2, 3, 25, 40, 100])
def test_a_campaign_has_as_many_faults_as_were_asked_for(faults: int) -> None:
    for seed in SEEDS:
        assert len(faults_of(plan(seed, faults))) == faults


@pytest.mark.parametrize("seed", SEEDS)
def test_forty_faults_meet_every_kind_of_process(seed: int) -> None:
    assert {target for target, _ in faults_of(plan(seed, 40))} == {each.name for each in TARGETS}


def test_a_long_campaign_kills_and_stops_every_kind_that_may_be_killed() -> None:
    for seed in SEEDS:
        met = set(faults_of(plan(seed, 200)))
        for target in TARGETS:
            assert (target.name, Action.STOP) in met
            assert ((target.name, Action.KILL) in met) == target.may_be_killed


def test_stops_last_within_their_bounds_and_kills_do_not_last() -> None:
    shortest, longest = STOPPED_SECONDS
    for step in plan(7, 200):
        for fault in step.faults:
            if fault.action is Action.STOP:
                assert shortest <= fault.seconds <= longest
            else:
                assert fault.seconds == 0
            assert 0 <= fault.choice < 1


def test_there_are_bursts_of_one_kind_and_pairs_of_two() -> None:
    steps = plan(7, 200)
    bursts = [step for step in steps if step.apart_seconds > 0]
    pairs = [step for step in steps if len(step.faults) == 2]
    assert bursts
    assert all(len({fault.target for fault in step.faults}) == 1 for step in bursts)
    assert pairs
    assert all(step.apart_seconds == 0 for step in pairs)
