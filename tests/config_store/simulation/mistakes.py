"""Mistakes that somebody might make in steering, each of which the simulation must find.

A mistake is put in the place of the product's own line, for one run.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from access.keys import Role
from config_store.steering import (
    commands,
    drafts,
    interventions,
    lives,
    times,
    transitions,
    writing,
)
from config_store.steering.changes import Changed, in_stage, refuse_frozen, with_fields
from config_store.steering.commands import (
    Advance,
    EmergencyOff,
    EmergencyOn,
    Judge,
    RollBack,
)
from config_store.steering.rollouts import deploys, shares, steps, switches
from config_store.steering.state import (
    UNDEPLOYED,
    Override,
    Rollout,
    Stage,
    SteeringState,
    Strategy,
    Verdict,
    VersionLife,
)
from config_store.store import Version
from deployments.gateway.steering import choice
from tests.config_store.simulation import gateways
from tests.config_store.simulation.simulated_redis import Contents, SimulatedRedis

Plant = Callable[[], AbstractContextManager[None]]


def _always_as_seen(_redis: SimulatedRedis, _given: dict[str, Any]) -> bool:
    return True


def _revision_as_seen(redis: SimulatedRedis, given: dict[str, Any]) -> bool:
    """Compare what may be given out twice."""
    stored = redis.contents.steering.get("revision", b"0")
    published = len(redis.contents.versions) == given["seen_published"]
    return published and int(given["revision"]) == int(stored) + 1


def _any_pointer(redis: SimulatedRedis, given: dict[str, Any]) -> bool:
    digest = redis.contents.steering.get("digest", b"").decode()
    return bool(digest == given["seen_digest"])


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


def _keeps_the_newest(state: SteeringState) -> SteeringState:
    newest = sorted(state.versions, reverse=True)[: state.settings.versions_kept]
    candidates = () if state.rollout is None else (state.rollout.candidate,)
    kept = sorted({*newest, state.active, *state.warm, *candidates})
    return with_fields(state, versions={number: state.versions[number] for number in kept})


def _checks_nothing(rollout: Rollout) -> bool:
    del rollout
    return False


def _forgets(_known: SteeringState | None, found: SteeringState) -> SteeringState:
    return found


def _files_nothing(*_: Any) -> list[bytes]:
    return []


def _spends_drafts(
    _before: SteeringState | None, after: SteeringState, *, makes_room: bool
) -> list[VersionLife]:
    del makes_room
    return [life for life in after.versions.values() if life.stage in UNDEPLOYED]


def _notes_nothing(*_: Any) -> str:
    return ""


def _minds_steps_alone(state: SteeringState, now: float) -> bool:
    return state.rollout is not None and now >= state.rollout.step_deadline


def _ends_untold(state: SteeringState, _by: Any, now: float) -> Changed:
    return Changed(with_fields(state, overrides=state.overrides_at(now)))


def _puts_nothing_off(*_: Any) -> None:
    return


def _has_no_end(state: SteeringState, *_: Any) -> Changed:
    return Changed(state)


def _ends_early(state: SteeringState, by: Any, now: float) -> Changed:
    if state.rollout is None or now < state.rollout.step_begun:
        return Changed(state)
    return switches.end_rollout(state, "it is time", by, now)


def _drops_overrides(state: SteeringState, command: RollBack, by: Any, now: float) -> Changed:
    found = switches.roll_back(state, command, by, now)
    return Changed(with_fields(found.state, overrides=()), found.events)


def _drops_freezes(state: SteeringState, command: EmergencyOn, by: Any, now: float) -> Changed:
    found = interventions.emergency_on(state, command, by, now)
    return Changed(with_fields(found.state, freezes=()), found.events)


def _by_id(override: Override) -> str:
    return override.id


def _finishes(state: SteeringState, command: Advance, by: Any, now: float) -> Changed:
    found = steps.advance(state, command, by, now)
    if found.state.rollout is None or state.rollout is None:
        return found
    return switches.finish(state, state.rollout, by, now)


def _keeps_verdict(state: SteeringState, command: Advance, by: Any, now: float) -> Changed:
    found = steps.advance(state, command, by, now)
    if found.state.rollout is None:
        return found
    kept = found.state.rollout.model_copy(update={"verdict": Verdict.GOOD})
    return Changed(with_fields(found.state, rollout=kept), found.events)


def _only_notes(state: SteeringState, command: Judge, by: Any, now: float) -> Changed:
    noted = Judge(command.rollout, command.step, Verdict.UNKNOWN)
    return steps.judge(state, noted, by, now)


def _keeps_rollout(state: SteeringState, command: EmergencyOn, by: Any, now: float) -> Changed:
    found = interventions.emergency_on(state, command, by, now)
    return Changed(with_fields(state, emergency=found.state.emergency), found.events)


def _forgets_what_it_left(state: SteeringState, command: Any, by: Any, now: float) -> Changed:
    found = switches.roll_back(state, command, by, now)
    warm = tuple(each for each in found.state.warm if each != state.active)
    return Changed(with_fields(found.state, warm=warm), found.events)


_SHARE_AT = Rollout.share_at


def _shows_shadows(rollout: Rollout, now: float) -> float:
    if rollout.strategy is Strategy.SHADOW and now >= rollout.step_begun:
        return 1.0
    return _SHARE_AT(rollout, now)


def _by_number(version: Version, life: VersionLife) -> bool:
    return version.number == life.number


def _counted(contents: Contents) -> int:
    return len(contents.versions)


def _refuses_nothing(*_: Any) -> None:
    return


def _transition(command: type, function: Any) -> Plant:
    return _in_table(transitions._TRANSITIONS, command, function)


def _of(where: Any, name: str, what: Any) -> Plant:
    @contextmanager
    def plant() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as changes:
            changes.setattr(where, name, what)
            yield

    return plant


def _in_table(table: Any, key: Any, what: Any) -> Plant:
    @contextmanager
    def plant() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as changes:
            changes.setitem(table, key, what)
            yield

    return plant


MISTAKES: dict[str, Plant] = {
    # In Redis, and on the way to it.
    "a write compares nothing": _of(SimulatedRedis, "is_as_seen", _always_as_seen),
    "a write compares revisions": _of(SimulatedRedis, "is_as_seen", _revision_as_seen),
    "a write does not compare what is active": _of(SimulatedRedis, "is_as_seen", _any_pointer),
    "a write that comes late has its lead all the same": _of(times, "SOON_SECONDS", 1e9),
    "a lead counts from a clock that is behind": _of(times, "stamp", min),
    "numbers are given out by counting": _of(Contents, "highest", property(_counted)),
    "old lives are not filed": _of(writing, "_filed", _files_nothing),
    "a draft that waits loses its document": _of(drafts, "spent", _spends_drafts),
    "a change is not in the journal": _of(writing, "_entry", _notes_nothing),
    # Which version is active, and the way back.
    "a switch leaves the stage of the version before": _of(switches, "_switch", _leaves_it_active),
    "a freeze is in the way of a rollback": _transition(RollBack, _minds_freezes),
    "a rollback forgets what it left": _transition(RollBack, _forgets_what_it_left),
    "a life that is needed is let go": _of(drafts, "pruned", _keeps_no_warm),
    "a draft pushes out what was deployed": _of(drafts, "pruned", _keeps_the_newest),
    "anybody drafts as much as they like": _of(lives, "refuse_too_many", _refuses_nothing),
    # What is deployed.
    "a deploy needs no check and no approval": _of(deploys, "_refuse_stage", _refuses_nothing),
    "a deploy begins in a freeze": _of(deploys, "refuse_frozen", _refuses_nothing),
    "a deploy begins past a lock": _of(deploys, "refuse_other_editor", _refuses_nothing),
    "a deploy begins in emergency mode": _of(deploys, "refuse_emergency", _refuses_nothing),
    "other content is approved": _of(lives, "_refuse_other_content", _refuses_nothing),
    # How a rollout goes on.
    "unknown is good enough": _of(steps, "needs_evidence", _checks_nothing),
    "a step begins with the verdict of another": _transition(Advance, _keeps_verdict),
    "a rollout leaves steps out": _transition(Advance, _finishes),
    "a step goes on in a freeze": _of(steps, "refuse_frozen", _refuses_nothing),
    "a step goes on past its deadline": _of(steps, "_refuse_late", _refuses_nothing),
    "a step ends before it began": _of(steps, "_refuse_unbegun", _refuses_nothing),
    "a bad verdict ends nothing": _transition(Judge, _only_notes),
    "a deadline ends nothing": _of(steps, "expire_rollout", _has_no_end),
    "a rollout ends before its deadline": _of(steps, "expire_rollout", _ends_early),
    "a freeze ends the step that it holds": _of(Rollout, "put_off", _puts_nothing_off),
    # Who sees which version.
    "each step draws its keys anew": _of(shares, "sees_candidate", _by_step),
    "a step begins without a lead": _of(Rollout, "share_at", _at_once),
    "clients see a shadow": _of(Rollout, "share_at", _shows_shadows),
    "a document is known by its number alone": _of(choice, "_is_drafted", _by_number),
    # What people put over it.
    "a rollback ends emergency mode": _transition(RollBack, _ends_emergency),
    "an operator ends emergency mode": _in_table(commands.ROLES, EmergencyOff, Role.OPERATOR),
    "emergency mode lets a rollout go on": _transition(EmergencyOn, _keeps_rollout),
    "a gateway forgets an emergency with Redis": _of(gateways, "held", _forgets),
    "emergency mode has the time of a clock that is ahead": _of(times, "stamp", max),
    "a rollback drops overrides": _transition(RollBack, _drops_overrides),
    "emergency mode drops freezes": _transition(EmergencyOn, _drops_freezes),
    "only a step is ever overdue": _of(SteeringState, "is_overdue", _minds_steps_alone),
    "nothing tells that an override ended": _of(interventions, "expire_overrides", _ends_untold),
    "two override one field": _of(interventions, "_target", _by_id),
}
