"""Emergency mode, overrides, freezes and locks."""

from dataclasses import replace

import pytest

from config_store.errors import RefusedChangeError
from config_store.steering.commands import (
    AddFreeze,
    AddOverride,
    Command,
    Draft,
    EmergencyOff,
    EmergencyOn,
    Expire,
    LeaveLock,
    RemoveFreeze,
    RemoveOverride,
    TakeLock,
)
from config_store.steering.watch import held
from tests.config_store.steering.people import (
    ADA,
    CY,
    GRACE,
    NOW,
    carried,
    changed,
    first,
    hash_of,
    in_canary,
)

ON = EmergencyOn("answers are wrong", "three critical in a minute")
OVERRIDE = AddOverride("o1", "capacity", "workers", 12.0, "a sale", NOW + 60, "checkout")


def test_emergency_mode_begins_once() -> None:
    state = changed(first(), ON)
    assert changed(state, EmergencyOn("another reason"), by=GRACE, now=NOW + 5) is state
    assert state.emergency is not None
    assert (state.emergency.since, state.emergency.by) == (NOW, "ada")
    assert (state.emergency.reason, state.emergency.rule) == (ON.reason, ON.rule)


def test_an_end_that_is_said_again_ends_it_also_for_who_missed_the_first_one() -> None:
    """Where clocks differ two emergencies have one time, and the second begins a little later."""
    state = changed(changed(first(), ON), EmergencyOff("all is well"), by=CY)
    again = changed(state, EmergencyOn("again"))
    assert again.emergency is not None
    assert again.emergency.since > NOW
    twice = changed(again, EmergencyOff("all is well"), EmergencyOff("to be sure"), by=CY)
    assert held(again, twice).emergency is None


def test_emergency_mode_ends_by_an_admin_and_is_never_refused_to_one() -> None:
    state = changed(first(), ON)
    state = changed(state, EmergencyOff("all is well"), by=CY, now=NOW + 9)
    assert (state.emergency, state.released) == (None, NOW + 9)
    again = changed(state, EmergencyOff("a gateway still holds it"), by=CY, now=NOW + 20)
    assert again.released == NOW + 20


def test_an_emergency_that_is_known_is_held_until_it_was_ended() -> None:
    before = first()
    known = changed(before, ON)
    # A Redis without its last second, and what happened there afterwards.
    assert held(known, before).emergency == known.emergency
    later = changed(before, Draft(2, hash_of(2), "m", 1), now=NOW + 3)
    assert held(held(known, before), later).emergency == known.emergency
    ended = changed(later, EmergencyOff("well"), by=CY, now=NOW + 4)
    assert held(held(known, later), ended).emergency is None
    # One that ended before is no end of this one.
    earlier = changed(before, EmergencyOff("well"), by=CY, now=NOW - 10)
    assert held(known, earlier).emergency == known.emergency


def test_an_end_of_the_same_time_takes_back_no_end_before_it() -> None:
    """Time stands still while a clock that was ahead is waited for."""
    state = changed(first(), ON, by=CY)
    state = changed(state, EmergencyOff("well"), by=CY)
    known = changed(state, ON, by=CY)
    state = changed(known, EmergencyOff("well again"), by=CY)
    for _ in range(2):
        assert held(known, state).emergency is None
        state = changed(state, EmergencyOff("some gateway may hold it"), by=CY)


def test_an_emergency_of_the_same_time_is_not_ended_by_the_end_of_the_one_before() -> None:
    before = changed(first(), ON)
    ended = changed(before, EmergencyOff("well"), by=CY, now=NOW)  # by a clock that is behind
    assert held(before, ended).emergency is None
    known = changed(ended, ON)
    # Redis lost the second one, and has the end of the first.
    assert held(known, ended).emergency == known.emergency
    assert held(known, changed(known, EmergencyOff("well"), by=CY)).emergency is None


def test_an_override_holds_until_it_expires() -> None:
    state = changed(first(), OVERRIDE, by=CY)
    assert [each.id for each in state.overrides_at(NOW + 59)] == ["o1"]
    assert state.overrides_at(NOW + 60) == ()
    assert changed(state, Expire(), now=NOW + 59) is state
    found = carried(state, [Expire()], now=NOW + 60)
    assert found.state.overrides == ()
    assert found.events[0].summary == (
        "The override of workers of capacity for checkout ended: its time was over"
    )


def test_a_new_override_takes_the_place_of_one_for_the_same() -> None:
    state = changed(first(), OVERRIDE, by=CY)
    newer = replace(OVERRIDE, id="o2", value=20.0)
    elsewhere = replace(OVERRIDE, id="o3", entity="")
    state = changed(state, newer, elsewhere, by=CY)
    assert [(each.id, each.value) for each in state.overrides] == [("o2", 20.0), ("o3", 12.0)]


def test_the_same_override_again_changes_nothing() -> None:
    state = changed(first(), OVERRIDE, by=CY)
    assert changed(state, OVERRIDE, by=CY, now=NOW + 1) is state
    with pytest.raises(RefusedChangeError, match="says something else"):
        changed(state, replace(OVERRIDE, value=3.0), by=CY)


def test_an_override_is_removed_by_its_id() -> None:
    state = changed(first(), OVERRIDE, RemoveOverride("o1"), by=CY)
    assert state.overrides == ()
    with pytest.raises(RefusedChangeError, match="no override o1"):
        changed(state, RemoveOverride("o1"), by=CY)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (replace(OVERRIDE, expires=NOW), r"ended 0 s ago"),
        (replace(OVERRIDE, expires=float("nan")), "expires is nan"),
        (replace(OVERRIDE, value=float("inf")), "value is inf"),
        (replace(OVERRIDE, reason=" "), "needs a reason"),
        (EmergencyOn(""), "needs a reason"),
        (EmergencyOff(""), "needs a reason"),
        (AddFreeze("f", "why", NOW + 9, NOW + 9), "give a later end"),
        (AddFreeze("f", "why", NOW - 9, NOW - 1), "give a later end"),
        (RemoveFreeze("f"), "no freeze f"),
        (TakeLock("why", 0), "A lock lasts up to 3600 s, not 0"),
        (TakeLock("why", 7200), "A lock lasts up to 3600 s, not 7200"),
    ],
)
def test_what_makes_no_sense_is_refused(command: Command, said: str) -> None:
    with pytest.raises(RefusedChangeError, match=said):
        changed(first(), command, by=CY)


def test_overrides_have_a_bound() -> None:
    few = first().settings.model_copy(update={"overrides_at_most": 1})
    state = changed(first().model_copy(update={"settings": few}), OVERRIDE, by=CY)
    with pytest.raises(RefusedChangeError, match="There are 1 overrides"):
        changed(state, replace(OVERRIDE, id="o2", field="pool"), by=CY)


def test_a_freeze_holds_between_its_times_and_is_dropped_after_them() -> None:
    freeze = AddFreeze("f", "expiry day", NOW + 10, NOW + 20)
    state = changed(first(), freeze, by=CY)
    assert [bool(state.freezes_at(at)) for at in (NOW + 9, NOW + 10, NOW + 20)] == [0, 1, 0]
    assert changed(state, freeze, by=CY) is state
    with pytest.raises(RefusedChangeError, match="says something else"):
        changed(state, replace(freeze, ends=NOW + 30), by=CY)
    assert changed(state, RemoveFreeze("f"), by=CY).freezes == ()
    assert changed(state, Expire(), now=NOW + 20).freezes == ()


def test_one_editor_at_a_time() -> None:
    state = changed(first(), TakeLock("lanes", 60))
    draft = Draft(2, hash_of(2), "m", 1)
    for command in (draft, TakeLock("mine", 60)):
        with pytest.raises(RefusedChangeError, match="ada has the lock"):
            changed(state, command, by=GRACE)
    assert changed(state, draft, by=ADA).versions.keys() == {1, 2}
    assert changed(state, draft, by=GRACE, now=NOW + 60).versions.keys() == {1, 2}
    longer = changed(state, TakeLock("lanes", 60), now=NOW + 30)
    assert longer.lock is not None
    assert longer.lock.expires == NOW + 90


def test_a_lock_is_left_by_its_holder_or_taken_away_by_an_admin() -> None:
    state = changed(first(), TakeLock("lanes", 60))
    with pytest.raises(RefusedChangeError, match="an admin may take it away"):
        changed(state, LeaveLock(), by=GRACE)
    for by in (ADA, CY):
        assert changed(state, LeaveLock(), by=by).lock is None
    assert changed(first(), LeaveLock()).lock is None
    assert changed(state, Expire(), now=NOW + 60).lock is None


def test_a_lock_that_ended_is_in_nobodys_way() -> None:
    state = changed(first(), TakeLock("lanes", 60))
    found = carried(state, [LeaveLock()], by=GRACE, now=NOW + 60)
    assert found.state.lock is None
    assert [each.kind for each in found.events] == ["lock_left"]


@pytest.mark.parametrize("begins", [NOW + 5, NOW + 60])
def test_a_freeze_is_to_be_written_as_soon_as_it_holds_a_step(begins: float) -> None:
    state = changed(in_canary(first(), 2), AddFreeze("f", "a day", begins, NOW + 90), by=CY)
    for at in (begins - 1, begins, begins + 1):
        assert state.is_overdue(at) == (changed(state, Expire(), now=at) is not state)
    assert state.is_overdue(begins)
    assert not changed(state, Expire(), now=begins).is_overdue(begins + 1)


@pytest.mark.parametrize(
    "command", [OVERRIDE, AddFreeze("f", "expiry day", NOW, NOW + 60), TakeLock("lanes", 60)]
)
def test_what_is_overdue_is_what_expire_drops(command: Command) -> None:
    state = changed(first(), command, by=CY)
    assert not first().is_overdue(NOW + 60)
    for at in (NOW + 59.5, NOW + 60):
        assert state.is_overdue(at) == (changed(state, Expire(), now=at) is not state)
    assert state.is_overdue(NOW + 60)
