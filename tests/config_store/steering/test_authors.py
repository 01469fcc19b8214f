"""Nobody approves what they wrote some of, whoever drafted it anew or wrote on top of it."""

from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from access.keys import Role
from config_store.errors import RefusedChangeError
from config_store.repair import Repair
from config_store.steering.commands import Actor, Approve, Deploy, Draft, RollBack, Validated
from config_store.steering.rebuilding import rebuilt
from config_store.steering.state import Stage, SteeringState, Strategy
from config_store.steering.status import describe
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from tests.config_store.steering.people import (
    ADA,
    BO,
    CY,
    GRACE,
    NOW,
    approved,
    carried,
    changed,
    deployed,
    drafted,
    first,
    hash_of,
    stage,
    strict,
)
from tests.config_store.steering.stores import document, founded, switch, validated

ADA_APPROVES = Actor("ada", Role.APPROVER)


def rebased(state: SteeringState, number: int, made_from: int, by: Actor = BO) -> SteeringState:
    """Draft anew what a version changes, on top of the active one, and let it pass validation."""
    return changed(
        state,
        Draft(number, hash_of(number), "again", state.active, made_from),
        Validated(number, hash_of(number)),
        by=by,
    )


def on_top(state: SteeringState, number: int, parent: int, by: Actor) -> SteeringState:
    command = Draft(number, hash_of(number), "more of it", parent)
    return changed(state, command, Validated(number, hash_of(number)), by=by)


def test_who_wrote_a_version_does_not_approve_it_once_another_has_rebased_it() -> None:
    state = rebased(drafted(strict(), 2), 3, made_from=2)
    assert state.versions[3].authors == ("bo", "ada")
    for by in (ADA_APPROVES, BO):
        with pytest.raises(RefusedChangeError, match="You wrote some of version 3: somebody else"):
            approved(state, 3, by=by)
    state = approved(state, 3, by=CY)
    assert (stage(state, 3), state.versions[3].approved_by) == (Stage.APPROVED, ("cy",))


def test_a_version_that_was_rebased_again_has_all_who_wrote_of_it() -> None:
    state = rebased(drafted(strict(), 2), 3, made_from=2, by=GRACE)
    state = rebased(state, 4, made_from=3, by=BO)
    assert state.versions[4].authors == ("bo", "grace", "ada")
    back = rebased(state, 5, made_from=4, by=ADA)
    assert back.versions[5].authors == ("ada", "bo", "grace")
    with pytest.raises(RefusedChangeError, match="its authors ada, bo and grace"):
        approved(back, 5)


def test_what_was_deployed_and_left_is_no_less_its_authors_when_it_is_rebased() -> None:
    state = changed(deployed(deployed(first(), 2), 3), RollBack("it is slow"))
    assert rebased(state, 4, made_from=3).versions[4].co_authors == ("ada",)


def test_who_rebases_what_is_all_their_own_is_its_only_author() -> None:
    state = rebased(drafted(strict(), 2), 3, made_from=2, by=ADA)
    assert state.versions[3].authors == ("ada",)
    assert stage(approved(state, 3), 3) is Stage.APPROVED


def test_who_wrote_a_draft_does_not_approve_what_another_writes_on_top_of_it() -> None:
    state = on_top(drafted(strict(), 2), 3, parent=2, by=BO)
    assert state.versions[3].co_authors == ("ada",)
    with pytest.raises(RefusedChangeError, match="You wrote some of version 3"):
        approved(state, 3, by=ADA_APPROVES)
    assert stage(approved(state, 3, by=CY), 3) is Stage.APPROVED


def test_what_is_or_was_in_force_makes_nobody_an_author_of_what_comes_after_it() -> None:
    state = deployed(deployed(first(), 2), 3)
    for number, parent in ((4, 3), (5, 2)):
        state = on_top(state, number, parent, by=BO)
        assert state.versions[number].authors == ("bo",)


def test_an_approval_from_before_does_not_count_for_an_author() -> None:
    """As where a state that an earlier release approved is read."""
    state = approved(rebased(drafted(strict(), 2), 3, made_from=2), 3, by=CY)
    life = state.versions[3].model_copy(update={"co_authors": ("ada", "cy")})
    assert life.approved_by == ()
    state = state.model_copy(update={"versions": state.versions | {3: life}})
    with pytest.raises(RefusedChangeError, match="others than its authors bo, ada and cy approve"):
        changed(state, Deploy(3, Strategy.BLUE_GREEN, "r", 1), by=GRACE)


def test_findings_are_named_by_an_author_only_where_nobody_else_has_to() -> None:
    found = Validated(3, hash_of(3), findings=("shadowed tail cap",))
    for begun, may in ((first(), True), (strict(), False)):
        state = changed(rebased(drafted(begun, 2), 3, made_from=2), found)
        command = Approve(3, hash_of(3), found.findings)
        if may:
            assert stage(changed(state, command, by=ADA_APPROVES), 3) is Stage.APPROVED
            continue
        with pytest.raises(RefusedChangeError, match="You wrote some of version 3"):
            changed(state, command, by=ADA_APPROVES)


def test_it_is_told_who_wrote_of_it() -> None:
    begun = drafted(strict(), 2)
    found = carried(begun, [Draft(3, hash_of(3), "again", 1, 2)], by=BO)
    assert found.events[0].details["co_authors"] == "ada"
    said = describe(rebased(begun, 3, made_from=2), NOW)
    assert "Version 3 by bo and ada (again) waits for 1 more approvals" in said[1]
    assert said[1].endswith("by others than its authors.")
    assert "co_authors" not in carried(first(), [Draft(2, hash_of(2), "m", 1)]).events[0].details


async def rebased_here(store: SteeringStore) -> int:
    """Have version 2, by ada, drafted anew by bo."""
    await validated(store, 2)
    return (await store.draft(document(3), "again", BO, NOW, made_from=2)).number


async def test_a_state_that_is_lost_takes_none_of_its_authors_with_it(redis: Redis) -> None:
    store = await founded(redis)
    older = await store.found(CY, NOW)
    number = await rebased_here(store)
    assert (await rebuilt(redis)).versions[number].co_authors == ("ada",)
    await redis.hset(store.key, "state", "spoilt")
    await store.restore(older, "a test", CY, NOW)
    life = (await store.read()).versions[number]  # of its record: the state is older
    assert (life.stage, life.authors) == (Stage.DRAFT, ("bo", "ada"))


async def test_a_document_that_is_written_again_names_them_too(redis: Redis) -> None:
    store, configs = await founded(redis), ConfigStore(redis)
    number = await rebased_here(store)
    life = (await store.read()).versions[number]
    await store.change(Validated(number, life.content_hash), ADA, NOW)
    await switch(store, number)
    before: Any = await redis.hget(configs.versions_key, str(number))
    assert orjson.loads(before)["co_authors"] == ["ada"]
    repair = Repair(redis)
    assert await repair.findings() == []
    await redis.hdel(configs.versions_key, str(number))
    assert await repair.put_back(CY, NOW) == [f"version {number}"]
    assert await redis.hget(configs.versions_key, str(number)) == before
