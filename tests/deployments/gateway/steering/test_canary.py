"""A canary's candidate answers its share of the keys, and no other; under load, again and again."""

import asyncio
import time
from typing import Any

import pytest

from config_store.running import RunningVersions
from config_store.steering.commands import Abort, Advance
from config_store.steering.rollouts.shares import place
from config_store.steering.rollouts.unanswered import StepOf, Tally, Unanswered
from config_store.steering.state import Outcome, Strategy
from deployments.gateway.lanes.lane import LaneLimits
from deployments.history.rollout_judge import roles_without
from deployments.runtime.transport.frame import Frame
from settings.redis_names import redis_name
from tests.deployments.gateway.rollouts import (
    QUICK,
    Clients,
    Operator,
    judged_until,
    judging,
    noted,
    runs,
)
from tests.deployments.gateway.told_apart import at_step, mixed
from tests.deployments.house import House
from tests.effort import tries
from tests.waiting import PATIENCE_SECONDS, until

KEYS = [f"service-{number}" for number in range(40)]
SHARES = (0.1, 0.3, 0.6, 1.0)
ROLLOUTS = tries(6, long=250)  # a thousand switches of shares


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("challenger")
async def test_each_key_sees_one_version_through_a_step_and_no_row_is_mixed(house: House) -> None:
    operator, clients = Operator(house), Clients(house, KEYS)
    documents = {1: house.document}
    house.context.lanes.by_family["tail"].limits = LaneLimits(7, 3, 1024, slice_rows=3)
    finished, active = [1], 1
    async with asyncio.TaskGroup() as running:
        running.create_task(clients.run())
        for round_ in range(1, ROLLOUTS + 1):
            document = at_step(house.document, round_)
            candidate = await operator.draft(document)
            documents[candidate] = document
            name, gives_up_at = f"rollout {round_}", 2 if round_ % 3 == 0 else None
            await operator.deploy(candidate, name, shares=SHARES)
            for step, share in enumerate(SHARES):
                saw = await clients.one_more()
                told = {key: candidate if place(name, key) < share else active for key in KEYS}
                assert saw == told, f"step {step} of {name}"
                if step == gives_up_at:
                    await operator.command(Abort(name, "enough was seen"))
                    break
                await operator.command(Advance(name, step))
            else:
                active = candidate
                finished.append(candidate)
            assert set((await clients.one_more()).values()) == {active}
        clients.end()
    rows = await house.ledger()
    wrong = {
        row["decision_id"]: parts
        for row in rows
        if (parts := mixed(row, documents[row["config_version"]]))
    }
    assert not wrong, f"{len(wrong)} of {len(rows)} rows are mixed: {list(wrong.items())[:3]}"
    assert not any(row["answer"]["safety"]["fallback"] for row in rows)
    for key, versions in clients.seen.items():
        # Only an aborted candidate is left for the version before it, and none is seen twice.
        came = runs(versions)
        kept = [each for each in came if each in finished]
        assert kept == sorted(kept), f"{key} saw {came}"
        candidates = [each for each in came if each not in finished]
        assert len(candidates) == len(set(candidates)), f"{key} saw {came}"


async def test_rows_of_one_request_are_answered_by_the_versions_of_their_keys_in_order(
    house: House,
) -> None:
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 2))
    await operator.deploy(candidate, "half", shares=(0.5, 1.0))
    answers = await house.ask(*({"entity": key, "load": 0.1 * at} for at, key in enumerate(KEYS)))
    told = [candidate if place("half", key) < 0.5 else 1 for key in KEYS]
    assert [each["meta"]["config_version"] for each in answers] == told
    rows = {row["decision_id"]: row for row in await house.ledger()}
    asked = [rows[each["meta"]["decision_id"]]["request"] for each in answers]
    assert [each["entity"] for each in asked] == KEYS


async def test_rows_that_a_version_leaves_without_an_answer_are_counted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, counts = Operator(house), Unanswered(house.redis)
    candidate = await operator.draft(at_step(house.document, 2))
    (safety,) = house.replicas["safety"]
    answer = safety.answer

    async def fail_the_candidate(frame: Frame, compiled: Any) -> Frame:
        if frame.head["version"] == candidate:
            raise KeyError("policy")
        judged: Frame = await answer(frame, compiled)
        return judged

    monkeypatch.setattr(safety, "answer", fail_the_candidate)
    await operator.deploy(candidate, "half", shares=(0.5, 1.0))
    theirs = [key for key in KEYS if place("half", key) < 0.5]
    async with house.client() as client:
        for key in KEYS:
            body = {"entity": key, "load": 0.5}
            found = await client.post("/models/tail-slo", json=body)
            assert found.status_code == (503 if key in theirs else 200)
    told: dict[int, Tally] = {}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sum(each.asked for each in told.values()) < len(KEYS):
            told = {v: await counts.read(StepOf("half", 0, v)) for v in (1, candidate)}
    assert told[1] == Tally(len(KEYS) - len(theirs), 0)
    assert told[candidate] == Tally(len(theirs), len(theirs))


async def test_rows_that_a_version_refuses_are_counted(house: House) -> None:
    operator, counts = Operator(house), Unanswered(house.redis)
    candidate = await operator.draft(at_step(house.document, 2))
    await operator.deploy(candidate, "half", shares=(0.5, 1.0))
    unknown = {"decision_id": "01939d1c-8a4e-7c11-9a52-3b1f0a6c2d7e", "reward": 0.5}
    async with house.client() as client:
        found = await client.post("/models/bandit/feedback", json=unknown)
        assert found.status_code == 404
    told = list[Tally]()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(each.asked for each in told):
            told = [await counts.read(StepOf("half", 0, each)) for each in (1, candidate)]
    assert sorted(told) == [Tally(), Tally(asked=1, refused=1)]


async def test_a_row_counts_in_the_step_in_which_it_was_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, counts = Operator(house), Unanswered(house.redis)
    candidate = await operator.draft(at_step(house.document, 2))
    (tail,) = house.replicas["tail"]
    answer, held, asked = tail.answer, asyncio.Event(), asyncio.Event()

    async def hold(frame: Frame, compiled: Any) -> Frame:
        asked.set()
        await held.wait()
        found: Frame = await answer(frame, compiled)
        return found

    monkeypatch.setattr(tail, "answer", hold)
    await operator.deploy(candidate, "slow", shares=(0.9, 1.0))
    (key,) = [each for each in KEYS if place("slow", each) < 0.9][:1]
    request = asyncio.create_task(house.ask({"entity": key, "load": 0.5}))
    await asked.wait()
    await operator.command(Advance("slow", 0))
    held.set()
    await request
    of, told = StepOf("slow", 0, candidate), Tally()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not told.asked:
            told = await counts.read(of)
    assert told == Tally(1, 0)
    assert await counts.read(of._replace(step=1)) == Tally()


async def test_an_experiment_and_the_feedback_to_its_decisions_see_one_version(
    house: House,
) -> None:
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 2))
    await operator.deploy(candidate, "half", shares=(0.5, 1.0))
    seen: set[int] = set()
    async with house.client() as client:
        for number in range(8):
            ask = {"experiment": f"e{number}", "context": {}, "arms": ["a", "b"]}
            decided = (await client.post("/models/bandit", json=ask)).json()["meta"]
            feedback = {"decision_id": decided["decision_id"], "reward": 1.0}
            answer = await client.post("/models/bandit/feedback", json=feedback)
            told = answer.json()["meta"]["config_version"]
            assert told == decided["config_version"]
            seen.add(told)
    assert seen == {1, candidate}


@pytest.mark.usefixtures("challenger")
async def test_blue_green_waits_until_every_replica_has_the_candidate_loaded(
    house: House,
) -> None:
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 3))  # by another model
    for each in house.replicas["tail"]:
        assert each.versions.held(candidate, at_step(house.document, 3).config_hash) is None
    await operator.deploy(candidate, "none first", Strategy.BLUE_GREEN, shares=(0.0,))
    await judged_until(house, candidate)
    for each in (replica for replicas in house.replicas.values() for replica in replicas):
        assert each.versions.held(candidate, at_step(house.document, 3).config_hash) is not None
    # One that has it not is waited for.
    second = await operator.draft(at_step(house.document, 5))
    running, active = RunningVersions(house.redis), house.answering()
    await running.report("tail-deaf", "tail", active, "its hash")
    # One that died is not, though it was there a moment ago.
    long_ago = f'{time.time() - 30:.0f} {{"role": "tail", "version": 1, "config_hash": "x"}}'
    await house.redis.hset(redis_name(house.redis, "config", "running"), "tail-dead", long_ago)
    await operator.deploy(second, "again", Strategy.BLUE_GREEN, shares=(0.0,))
    async with judging(house):
        await until(lambda: noted(house) == "not loaded yet by tail-deaf")
        await running.leave("tail-deaf")
        await until(lambda: house.answering() == second)


async def test_blue_green_waits_for_a_replica_of_each_role(house: House) -> None:
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 2))
    ended = house.open["tail"].pop()
    house.replicas["tail"].clear()
    house.directories["tail"].addresses.clear()
    await ended.close()
    assert await roles_without(RunningVersions(house.redis)) == ["tail"]
    await operator.deploy(candidate, "none first", Strategy.BLUE_GREEN, shares=(0.0,))
    async with judging(house):
        await until(lambda: noted(house) == "not loaded yet by any replica of tail")
        tail = await house.start("tail")
        await until(lambda: house.answering() == candidate)
    assert tail.versions.held(candidate, at_step(house.document, 2).config_hash) is not None


async def test_who_advances_a_rolling_rollout_is_told_who_cannot_answer_by_it(
    house: House,
) -> None:
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 2))
    running = RunningVersions(house.redis)
    await running.report("tail-deaf", "tail", house.answering(), "its hash")
    await operator.deploy(candidate, "parts", Strategy.ROLLING)
    async with judging(house):
        await until(lambda: noted(house) == "not loaded yet by tail-deaf")
        await running.leave("tail-deaf")
        await until(lambda: noted(house) == "")
    rollout = (await operator.store.read()).rollout
    assert rollout is not None
    assert rollout.step == 0  # it is an operator's to advance


async def test_a_step_that_nobody_judges_ends_at_its_deadline(house: House) -> None:
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 2))
    short = QUICK.model_copy(update={"step_seconds": 0.3})
    await operator.begin(candidate, "short", short)

    def ended() -> bool:
        state = house.context.replica.steering.value
        return state is not None and state.last_rollout is not None

    await until(ended)
    state = await operator.store.read()
    assert state.last_rollout is not None
    assert (state.active, state.last_rollout.outcome) == (1, Outcome.ABORTED)
    await until(lambda: house.context.choice.rollout is None)


async def test_blue_green_takes_all_keys_over_and_back_at_once(house: House) -> None:
    operator, clients = Operator(house), Clients(house, KEYS)
    async with asyncio.TaskGroup() as running:
        running.create_task(clients.run())
        candidate = await operator.draft(at_step(house.document, 2))
        await operator.deploy(candidate, "none first", Strategy.BLUE_GREEN, shares=(0.0,))
        assert set((await clients.one_more()).values()) == {1}
        await operator.command(Advance("none first", 0))
        assert set((await clients.one_more()).values()) == {candidate}
        clients.end()
