"""What clients see: which version answered each of their keys, on each gateway and on all."""

from collections import defaultdict
from typing import Any

from config_store.steering.state import Rollout, SteeringState, Strategy
from tests.config_store.simulation.gateways import SKEW_SECONDS, Gateway
from tests.config_store.simulation.invariants import check

KEYS = tuple(f"shop {at}" for at in range(8))
UNSEEN = {Strategy.BLUE_GREEN, Strategy.SHADOW}


class Clients:
    """Finds a key that went back and forth, and one that saw what nobody may see."""

    def __init__(self) -> None:
        self._order: dict[Any, list[int]] = defaultdict(list)

    def ask(self, gateway: Gateway, keys: tuple[str, ...]) -> None:
        versions, state = gateway.versions(keys), gateway.goes_by
        if not versions or state is None:
            return
        check(versions == gateway.versions(keys), "a key has two versions at one time")
        everywhere = gateway.is_fresh and not _is_between_clocks(state, gateway.wall())
        for key, version in versions.items():
            _may_be_seen(state, version, gateway.wall())
            self._note(("gateway", gateway.name, gateway.epoch, key), version)
            if everywhere:
                self._note(("all", gateway.epoch, key), version)

    def _note(self, who: Any, version: int) -> None:
        order = self._order[who]
        if not order or order[-1] != version:
            check(version not in order, f"{who} saw {[*order, version]}")
            order.append(version)


def _may_be_seen(state: SteeringState, version: int, local: float) -> None:
    rollout = state.rollout
    unbegun = rollout is not None and rollout.step == 0 and local < rollout.step_begun
    if rollout is None or rollout.strategy in UNSEEN or unbegun:
        check(version == state.active, f"a client saw {version}, which is not active")
    else:
        check(version in {state.active, rollout.candidate}, f"a client saw {version}")


def _is_between_clocks(state: SteeringState, local: float) -> bool:
    """Tell whether a step begins now, by some gateways' clocks and not yet by others'."""
    steps: list[Rollout | None] = [state.rollout, state.last_rollout]
    return any(
        each is not None and abs(local - each.step_begun) <= 2 * SKEW_SECONDS for each in steps
    )
