"""The version of a row: quickly where one answers every key, and the same as key by key."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from config_store.shipped import default_document
from config_store.steering.shares import choose, place, same_for_all
from config_store.steering.state import SteeringState
from config_store.store import Version
from deployments.api.tail import TAIL, TailBody
from deployments.gateway.choice import VersionChoice
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
    found = {row: version.number for version, rows in parts for row in rows}
    assert found == {row: choose(state, key, now) for row, key in enumerate(keys)}
    assert sum(len(rows) for _, rows in parts) == len(keys)
    assert all(rows == sorted(rows) and rows for _, rows in parts)


@given(_states(), KEYS, TIMES)
def test_one_version_for_all_is_that_of_every_key(
    state: SteeringState, keys: list[str], now: float
) -> None:
    number = same_for_all(state, now)
    assert number is None or {choose(state, key, now) for key in keys} == {number}


def test_without_a_rollout_one_version_answers_all() -> None:
    assert same_for_all(first(3), NOW) == 3


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_place_that_is_remembered_is_the_one_that_is_worked_out(rollout: str, key: str) -> None:
    assert place(rollout, key) == place(rollout, key) == place.__wrapped__(rollout, key)
