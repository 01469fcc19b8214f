"""Mistakes that somebody might make in steering, each of which the simulation must find."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from config_store.steering import lives, rollouts, shares, store, switches, transitions
from config_store.steering.changes import Changed, in_stage, refuse_frozen, with_fields
from config_store.steering.commands import RollBack
from config_store.steering.state import Rollout, Stage, SteeringState
from tests.config_store.simulation import gateways
from tests.config_store.simulation.simulated_redis import SimulatedRedis

Plant = Callable[[], Any]


def _always_as_seen(_redis: SimulatedRedis, _given: dict[str, Any]) -> bool:
    return True


def _revision_as_seen(redis: SimulatedRedis, given: dict[str, Any]) -> bool:
    """Compare what may be given out twice."""
    stored = redis.contents.steering.get("revision", b"0")
    published = len(redis.contents.versions) == given["seen_published"]
    return published and int(given["revision"]) == int(stored) + 1


def _leaves_it_active(state: SteeringState, number: int, left: Any) -> SteeringState:
    del left
    return with_fields(in_stage(state, number, Stage.ACTIVE), active=number)


def _ends_emergency(state: SteeringState, command: RollBack, by: Any, now: float) -> Changed:
    found = switches.roll_back(state, command, by, now)
    return Changed(with_fields(found.state, emergency=None), found.events)


def _minds_freezes(state: SteeringState, command: RollBack, by: Any, now: float) -> Changed:
    refuse_frozen(state, now)
    return switches.roll_back(state, command, by, now)


def _by_step(rollout: Rollout, key: str, now: float) -> bool:
    """Draw anew for each step."""
    share = rollout.share_at(now)
    return share > 0 and shares.place(f"{rollout.id} {rollout.step}", key) < share


def _at_once(rollout: Rollout, _now: float) -> float:
    return rollout.shares[rollout.step]


def _keeps_no_warm(state: SteeringState) -> SteeringState:
    newest = sorted(state.versions, reverse=True)[: state.settings.versions_kept]
    kept = {number: state.versions[number] for number in sorted({*newest, state.active})}
    return with_fields(state, versions=kept)


def _checks_nothing(rollout: Rollout) -> bool:
    del rollout
    return False


def _forgets(_known: SteeringState | None, found: SteeringState) -> SteeringState:
    return found


def _files_nothing(*_: Any) -> list[bytes]:
    return []


def _notes_nothing(*_: Any) -> str:
    return ""


def _has_no_end(state: SteeringState, *_: Any) -> Changed:
    return Changed(state)


def _transition(command: type, function: Any) -> Plant:
    return lambda: patch.dict(transitions._TRANSITIONS, {command: function})


MISTAKES: dict[str, Plant] = {
    "a write compares nothing": lambda: patch.object(SimulatedRedis, "is_as_seen", _always_as_seen),
    "a write compares revisions": lambda: patch.object(
        SimulatedRedis, "is_as_seen", _revision_as_seen
    ),
    "a switch leaves the stage of the version before": lambda: patch.object(
        switches, "_switch", _leaves_it_active
    ),
    "a rollback ends emergency mode": _transition(RollBack, _ends_emergency),
    "a freeze is in the way of a rollback": _transition(RollBack, _minds_freezes),
    "each step draws its keys anew": lambda: patch.object(shares, "sees_candidate", _by_step),
    "a step begins without a lead": lambda: patch.object(Rollout, "share_at", _at_once),
    "a life that is needed is let go": lambda: patch.object(lives, "pruned", _keeps_no_warm),
    "unknown is good enough": lambda: patch.object(rollouts, "needs_evidence", _checks_nothing),
    "a gateway forgets an emergency with Redis": lambda: patch.object(gateways, "held", _forgets),
    "old lives are not filed": lambda: patch.object(store, "_filed", _files_nothing),
    "a change is not in the journal": lambda: patch.object(store, "_entry", _notes_nothing),
    "a deadline ends nothing": lambda: patch.object(rollouts, "expire_rollout", _has_no_end),
}
