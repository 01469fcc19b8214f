"""The version of a row by its key: stable, growing, and in the stated proportion."""

from math import sqrt

from hypothesis import given
from hypothesis import strategies as st

from config_store.steering.commands import Deploy
from config_store.steering.rollouts.shares import choose, place, shadowed
from config_store.steering.state import Rollout, Strategy
from tests.config_store.steering.people import NOW, changed, drafted, first, in_canary

BEGUN = NOW + 5
PLACE_OF_CHECKOUT = 0.9838456910995652
PLACE_OF_ZURICH = 0.1453574147507204
KEYS = [f"shop {at}" for at in range(20_000)]


def rollout_at(step: int, rollout_id: str = "canary 2") -> Rollout:
    found = in_canary(first(), 2).rollout
    assert found is not None
    return found.model_copy(update={"step": step, "id": rollout_id})


def seen_by(rollout: Rollout) -> set[str]:
    state = in_canary(first(), 2).model_copy(update={"rollout": rollout})
    return {key for key in KEYS if choose(state, key, BEGUN) == 2}


def test_without_a_rollout_the_active_version_answers() -> None:
    assert {choose(first(3), key, NOW) for key in KEYS[:100]} == {3}


def test_shares_are_met_and_only_grow() -> None:
    before: set[str] = set()
    for step, share in enumerate((0.01, 0.05, 0.25, 0.5, 1.0)):
        seen = seen_by(rollout_at(step))
        # Five standard deviations of a fair draw.
        assert abs(len(seen) / len(KEYS) - share) <= 5 * sqrt(share * (1 - share) / len(KEYS))
        assert seen >= before
        before = seen
    assert before == set(KEYS)


def test_another_rollout_tries_other_keys_first() -> None:
    one, other = seen_by(rollout_at(1)), seen_by(rollout_at(1, "another"))
    assert len(one & other) < 0.2 * len(one)


@given(st.text(), st.text(min_size=1))
def test_every_key_has_a_place(key: str, rollout_id: str) -> None:
    found = place(rollout_id, key)
    assert 0 <= found < 1
    assert found == place(rollout_id, key)


def test_the_greatest_hash_is_still_below_one() -> None:
    assert (((1 << 64) - 1) >> 11 << 11) / float(1 << 64) < 1


def test_places_do_not_change_between_releases() -> None:
    # Gateways of two releases serve side by side while one is replaced.
    assert place("canary 2", "checkout") == PLACE_OF_CHECKOUT
    assert place("canary 2", "Zürich") == PLACE_OF_ZURICH


def test_a_shadow_is_seen_by_no_key() -> None:
    state = changed(drafted(first(), 2), Deploy(2, Strategy.SHADOW, "r", 1))
    assert {choose(state, key, BEGUN) for key in KEYS[:1000]} == {1}
    assert shadowed(state) == 2
    assert shadowed(in_canary(first(), 2)) is None
    assert shadowed(first()) is None
