"""Gateways with a watch each, and what their clients see."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.errors import ConfigError
from config_store.steering.shares import choose
from config_store.steering.state import Rollout, SteeringState
from config_store.steering.store import SOON_SECONDS, SteeringStore
from config_store.steering.watch import held
from tests.config_store.simulation.invariants import check
from tests.config_store.simulation.simulated_redis import Connection

# Longer than the product's, so that more is missed.
POLL_SECONDS = 3.0
LEAD_SECONDS = 5.0
# Clocks of machines differ by so much at most, either way.
SKEW_SECONDS = 0.4
# A gateway whose last look is older may not know a step that began.
FRESH_SECONDS = LEAD_SECONDS - SOON_SECONDS - 2 * SKEW_SECONDS
KEYS = tuple(f"shop {at}" for at in range(8))


@dataclass
class Gateway:
    """What one process knows, and since when."""

    name: str
    connection: Connection
    store: SteeringStore
    skew: float
    view: SteeringState | None = None
    epoch: int = -1  # of the read that it knows
    read_epoch: int = -1  # of the read that is on its way
    seen_at: float = float("-inf")
    told: bool = True
    loading: bool = False

    async def load(self, now: Callable[[], float]) -> None:
        """Look once, as the watch does at a notice and at its poll."""
        asked_at, self.told, self.loading = now(), False, True
        try:
            found = await self.store.read()
        except (RedisConnectionError, ConfigError):
            return
        finally:
            self.loading = False
        after = held(self.view, found)
        _stays_in_emergency(self.view, after)
        self.view, self.seen_at, self.epoch = after, asked_at, self.read_epoch

    def wants(self, now: float) -> bool:
        return not self.loading and (self.told or now - self.seen_at >= POLL_SECONDS)

    def restart(self) -> None:
        self.view, self.seen_at, self.epoch, self.loading = None, float("-inf"), -1, False
        self.told = True


class Clients:
    """Notes which version answered each key, and finds one that went back and forth."""

    def __init__(self) -> None:
        self._order: dict[Any, list[int]] = defaultdict(list)

    def ask(self, gateway: Gateway, key: str, now: float) -> None:
        view, local = gateway.view, now + gateway.skew
        if view is None:
            return
        version = choose(view, key, local)
        check(version == choose(view, key, local), "a key has two versions at one time")
        self._note(("gateway", gateway.name, gateway.epoch, key), version)
        fresh = now - gateway.seen_at < FRESH_SECONDS
        if fresh and not _is_between_clocks(view, local):
            self._note(("all", gateway.epoch, key), version)

    def _note(self, who: Any, version: int) -> None:
        order = self._order[who]
        if not order or order[-1] != version:
            check(version not in order, f"{who} saw {[*order, version]}")
            order.append(version)


def _is_between_clocks(view: SteeringState, local: float) -> bool:
    """Tell whether a step begins now, by some gateways' clocks and not yet by others'."""
    steps: list[Rollout] = [each for each in (view.rollout, view.last_rollout) if each is not None]
    return any(abs(local - each.step_begun) <= 2 * SKEW_SECONDS for each in steps)


def _stays_in_emergency(before: SteeringState | None, after: SteeringState) -> None:
    if before is None or before.emergency is None or after.emergency is not None:
        return
    released = after.released is not None and after.released >= before.emergency.since
    check(released, "a gateway left emergency mode without an admin's word")
