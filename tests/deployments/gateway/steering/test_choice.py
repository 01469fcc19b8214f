"""The version of a row: quickly where one answers every key, and the same as key by key."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.shipped import default_document
from config_store.steering.rollouts.shares import choose, place, same_for_all
from config_store.steering.rollouts.unanswered import StepOf, Tally
from config_store.steering.state import SteeringState
from config_store.store import Version
from deployments.api.tail import TAIL, TailBody
from deployments.gateway.steering.choice import VersionChoice
from tests.config_store.steering.people import NOW, first, in_canary

DOCUMENT = default_document()
ACTIVE, CANDIDATE = (
    Version(number, DOCUMENT.config_hash, "ada", "v", datetime(2026, 3, 2, tzinfo=UTC), DOCUMENT)
    for number in (1, 2)
)
KEYS = st.lists(st.sampled_from([f"service-{each}" for each in range(50)]), min_size=1)
SHARES = st.lists(st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]), min_size=1, unique=True).map(sorted)


@st.composite
def _states(draw: st.DrawFn) -> SteeringState:
    """Draw a rollout at any step of any shares."""
    state = in_canary(first(), 2)
    assert state.rollout is not None
    shares = tuple(draw(SHARES))
    step = draw(st.integers(0, len(shares) - 1))
    rollout = state.rollout.model_copy(update={"shares": shares, "step": step})
    return state.model_copy(update={"rollout": rollout})


# Before a step, as it begins, and long after.
TIMES = st.sampled_from([NOW, NOW + 5, NOW + 1e6])


@given(_states(), KEYS, TIMES)
def test_rows_are_split_as_their_keys_are_chosen(
    state: SteeringState, keys: list[str], now: float
) -> None:
    choice = VersionChoice(lambda: None, lambda: now)
    choice.take_over(state, ACTIVE, CANDIDATE)
    parts = choice.split(TAIL, [TailBody(entity=key, load=0.5) for key in keys])
    found = {row: part.version.number for part in parts for row in part.rows}
    assert found == {row: choose(state, key, now) for row, key in enumerate(keys)}
    assert sum(len(part.rows) for part in parts) == len(keys)
    assert all(part.rows == sorted(part.rows) and part.rows for part in parts)


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.75])
def test_of_each_arm_as_many_keys_are_compared(share: float) -> None:
    state = in_canary(first(), 2)
    assert state.rollout is not None
    rollout = state.rollout.model_copy(update={"shares": (share, 1.0), "step": 0})
    choice = VersionChoice(lambda: None, lambda: NOW + 60)
    choice.take_over(state.model_copy(update={"rollout": rollout}), ACTIVE, CANDIDATE)
    parts = choice.split(TAIL, [TailBody(entity=f"k{at}", load=0.5) for at in range(40_000)])
    of = {each.version.number: len(each.rows) for each in parts if each.compared}
    wanted = min(share, 1 - share) * 40_000
    assert of == {number: pytest.approx(wanted, abs=5 * wanted**0.5) for number in (1, 2)}, of


@given(_states(), KEYS, TIMES)
def test_one_version_for_all_is_that_of_every_key(
    state: SteeringState, keys: list[str], now: float
) -> None:
    number = same_for_all(state, now)
    assert number is None or {choose(state, key, now) for key in keys} == {number}


@pytest.mark.parametrize(
    ("step", "now", "told"),
    [(0, NOW - 0.1, None), (0, NOW, 0), (1, NOW - 0.1, 0), (1, NOW, 1), (2, NOW - 0.1, 1)],
)
def test_rows_are_counted_in_the_step_that_answers_them(
    step: int, now: float, told: int | None
) -> None:
    state = in_canary(first(), 2)
    assert state.rollout is not None
    rollout = state.rollout.model_copy(update={"step": step, "step_begun": NOW})
    choice = VersionChoice(lambda: None, lambda: now)
    assert choice.step_of(ACTIVE) is None  # nothing goes on
    choice.take_over(state.model_copy(update={"rollout": rollout}), ACTIVE, CANDIDATE)
    for version in (ACTIVE, CANDIDATE):
        expected = None if told is None else StepOf(rollout.id, told, version.number)
        assert choice.step_of(version) == expected


async def test_what_could_not_be_told_is_told_later_with_what_came_meanwhile() -> None:
    choice = VersionChoice(lambda: ACTIVE, lambda: NOW)
    before, after = StepOf("r", 0, 2), StepOf("r", 1, 2)
    told: list[Mapping[StepOf, Tally]] = []

    async def fail(_: Mapping[StepOf, Tally]) -> None:
        choice.count(before, 5, 1)  # an answer that comes while Redis is asked
        choice.count(after, 1, 1)
        raise RedisConnectionError("away")

    async def tell(counted: Mapping[StepOf, Tally]) -> None:
        told.append(counted)

    await choice.tell_counted(tell)
    choice.count(None, 9, 9)
    choice.count(before, 10, 2)
    with pytest.raises(RedisConnectionError):
        await choice.tell_counted(fail)
    await choice.tell_counted(tell)
    await choice.tell_counted(tell)
    assert told == [{before: Tally(15, 3), after: Tally(1, 1)}]


def test_without_a_rollout_one_version_answers_all() -> None:
    assert same_for_all(first(3), NOW) == 3


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_place_that_is_remembered_is_the_one_that_is_worked_out(rollout: str, key: str) -> None:
    assert place(rollout, key) == place(rollout, key) == place.__wrapped__(rollout, key)
