"""Which version answers a row: by its key alone, the same on every gateway."""

from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

from config_store.errors import RefusedChangeError
from config_store.steering.state import Rollout, SteeringState, Strategy

CANARY_SHARES = (0.01, 0.05, 0.25, 0.5, 1.0)
MOST_STEPS = 1000
_SPAN = float(1 << 64)
# A gateway is asked about the same entities again and again; beyond these a place is worked out
# anew.
MOST_PLACES = 16_384


def choose(state: SteeringState, key: str, now: float) -> int:
    """Give the number of the version that answers this key.

    A key has one place in a rollout, and shares only grow: once it sees the candidate it goes on
    seeing it until the rollout ends.
    """
    rollout = state.rollout
    if rollout is None:
        return state.active
    return rollout.candidate if sees_candidate(rollout, key, now) else state.active


def same_for_all(state: SteeringState, now: float) -> int | None:
    """Give the version that answers whatever key, where there is such a one.

    There is none only within the steps of a canary: then each key has to be looked at.
    """
    rollout = state.rollout
    share = 0.0 if rollout is None else rollout.share_at(now)
    if rollout is None or share <= 0:
        return state.active
    return rollout.candidate if share >= 1 else None


def sees_candidate(rollout: Rollout, key: str, now: float) -> bool:
    share = rollout.share_at(now)
    return share > 0 and place(rollout.id, key) < share


def is_compared(rollout_id: str, key: str, share: float) -> bool:
    """Tell whether the times of a key's rows are compared: of each arm as many keys' are."""
    fewer, at = min(share, 1 - share), place(rollout_id, key)
    return at < fewer or share <= at < share + fewer


@lru_cache(MOST_PLACES)
def place(rollout_id: str, key: str) -> float:
    """Give a key's place in [0, 1); another rollout tries other keys first."""
    name = f"{rollout_id}\x1f{key}".encode()
    # Rounding a number just below 2**64 would give 1, which is no place: the last bits are let go.
    return (int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 11 << 11) / _SPAN


def shadowed(state: SteeringState) -> int | None:
    """Give the version that answers beside, off the clients' path."""
    rollout = state.rollout
    if rollout is None or rollout.strategy is not Strategy.SHADOW:
        return None
    return rollout.candidate


def shares_of(strategy: Strategy, replicas: int) -> tuple[float, ...]:
    match strategy:
        case Strategy.BLUE_GREEN:
            return (1.0,)
        case Strategy.CANARY:
            return CANARY_SHARES
        case Strategy.SHADOW:
            return (0.0,)
        case Strategy.ROLLING:
            if not 1 <= replicas <= MOST_STEPS:
                raise RefusedChangeError(
                    f"A rolling rollout has 1 to {MOST_STEPS} replicas, not {replicas}."
                )
            return tuple((each + 1) / replicas for each in range(replicas))


def refuse_shares(strategy: Strategy, shares: tuple[float, ...]) -> None:
    """Refuse shares that would take a key back from the candidate, or mean another strategy."""
    rising = all(lesser < greater for lesser, greater in pairwise(shares))
    within = all(0 <= each <= 1 for each in shares)
    if not shares or len(shares) > MOST_STEPS or not rising or not within:
        raise RefusedChangeError(
            f"The shares {shares} of a rollout must rise from step to step, within 0 and 1."
        )
    gradual = strategy in {Strategy.CANARY, Strategy.ROLLING}
    if gradual and (shares[-1] != 1.0 or shares[0] == 0.0):
        raise RefusedChangeError(
            f"The shares of a {strategy} rollout begin above 0 and end with 1, unlike {shares}: "
            "the candidate becomes active when all keys see it."
        )
    if strategy is Strategy.SHADOW and shares != (0.0,):
        raise RefusedChangeError(f"No client sees a shadow: its shares are (0,), not {shares}.")
    if strategy is Strategy.BLUE_GREEN and shares not in {(1.0,), (0.0,)}:
        raise RefusedChangeError(
            "Blue/green goes over at once: its shares are (1,), or (0,) to have the candidate "
            f"loaded everywhere before it is advanced, and not {shares}."
        )
