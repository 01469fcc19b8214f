"""A shadow's candidate answers what clients asked, and nobody but the ledger knows."""

import asyncio
from typing import Any

import pytest

from config_store.steering.commands import Abort
from config_store.steering.rollouts.unanswered import StepOf, Tally, Unanswered
from config_store.steering.state import Strategy
from deployments.gateway.lanes.lane import LaneLimits
from deployments.runtime.batch import Batch, Judgement
from deployments.runtime.transport.frame import Frame
from deployments.safety.judge import Judge
from tests.deployments.gateway.rollouts import Operator
from tests.deployments.gateway.told_apart import at_step, mixed
from tests.deployments.house import House
from tests.waiting import until

Row = dict[str, Any]


async def shadowed(house: House) -> tuple[Operator, int]:
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 3))
    await operator.deploy(candidate, "beside", Strategy.SHADOW)
    return operator, candidate


async def in_ledger(house: House, count: int) -> tuple[dict[str, Row], list[Row]]:
    """Wait for so many rows; give the clients' by their ids, and the shadow's."""
    rows: list[Row] = []
    while len(rows) < count:
        rows = await house.ledger()
    own = {row["decision_id"]: row for row in rows if "shadow_of" not in row}
    return own, [row for row in rows if "shadow_of" in row]


def counted(house: House, outcome: str) -> float:
    """Read how many rows became this, as the metrics of each second say it."""
    registry = house.context.replica.metrics.registry
    labels = {"family": "tail", "outcome": outcome}
    return registry.get_sample_value("shadow_rows_total", labels) or 0.0


@pytest.mark.usefixtures("challenger")
async def test_each_answer_has_a_partner_by_the_candidate_alone(house: House) -> None:
    _, candidate = await shadowed(house)
    keys = [f"service-{number}" for number in range(10)]
    answers = await house.ask(*({"entity": key, "load": 0.5} for key in keys))
    assert {each["meta"]["config_version"] for each in answers} == {1}
    own, beside = await in_ledger(house, 20)
    assert own.keys() == {each["meta"]["decision_id"] for each in answers}
    assert {row["shadow_of"] for row in beside} == own.keys()
    for row in beside:
        partner = own[row["shadow_of"]]
        assert (row["config_version"], partner["config_version"]) == (candidate, 1)
        assert (row["request"], row["key_id"]) == (partner["request"], partner["key_id"])
        assert not mixed(row, at_step(house.document, 3))
        assert not mixed(partner, house.document)


async def test_it_ends_with_its_rollout(house: House) -> None:
    operator, _ = await shadowed(house)
    await house.ask({"load": 0.5})
    await in_ledger(house, 2)
    await operator.command(Abort("beside", "enough was seen"))
    await house.ask({"load": 0.5})
    await house.context.lanes.drain()
    _, beside = await in_ledger(house, 3)
    assert len(beside) == 1


async def test_what_it_breaks_alarms_nobody_and_is_nothing_to_fall_back_to(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (safety,) = house.replicas["safety"]
    versions: list[int] = []
    count = safety._emergencies.count

    def note(batch: Batch, judged: Judgement) -> None:
        versions.append(batch.version)
        count(batch, judged)

    monkeypatch.setattr(safety._emergencies, "count", note)
    await shadowed(house)
    await house.ask({"entity": "order-gateway", "load": 0.5})
    await in_ledger(house, 2)
    assert versions == [1]


async def test_the_rows_beside_one_that_it_refuses_are_as_unseen(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, candidate = await shadowed(house)
    (safety,), (tail,) = house.replicas["safety"], house.replicas["tail"]
    answer, count = tail.answer, safety._emergencies.count
    versions: list[int] = []

    async def refuse_the_first(frame: Frame, compiled: Any) -> Frame:
        """Do what families do whose rows may be refused, such as forecasts."""
        found: Frame = await answer(frame, compiled)
        if frame.head["version"] == candidate:
            found.head["refusals"] = {0: {"code": "invalid", "message": "too few values"}}
        return found

    def note(batch: Batch, judged: Judgement) -> None:
        versions.append(batch.version)
        count(batch, judged)

    monkeypatch.setattr(tail, "answer", refuse_the_first)
    monkeypatch.setattr(safety._emergencies, "count", note)
    await house.ask(*({"entity": each, "load": 0.5} for each in ("refused", "left")))
    own, beside = await in_ledger(house, 3)
    assert [own[row["shadow_of"]]["entity"] for row in beside] == ["left"]
    assert versions == [1]
    memory = safety._memories.of("tail", safety.versions.active.compiled.judges["tail"])
    assert memory is not None
    # What is remembered is what the client got.
    _, at = memory.find(["left", "refused"])
    assert at[0] == at[1]


async def test_while_clients_wait_it_answers_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shadowed(house)
    (tail,) = house.replicas["tail"]
    answer, held = tail.answer, asyncio.Event()

    async def hold(frame: Frame, compiled: Any) -> Frame:
        await held.wait()
        found: Frame = await answer(frame, compiled)
        return found

    monkeypatch.setattr(tail, "answer", hold)
    house.context.lanes.by_family["tail"].limits = LaneLimits(1, 1, 1024)
    asks = [asyncio.create_task(house.ask({"load": 0.1 * at})) for at in range(5)]
    await until(lambda: house.context.lanes.by_family["tail"].waiting_rows == 4)
    held.set()
    await asyncio.gather(*asks)
    await house.context.lanes.drain()
    await until(lambda: counted(house, "dropped") + counted(house, "answered") == 5)
    assert counted(house, "dropped") >= 3  # of those that were answered while others waited
    _, beside = await in_ledger(house, 5)
    assert len(beside) == counted(house, "answered")


async def test_what_holds_state_has_no_shadow(house: House) -> None:
    await shadowed(house)
    async with house.client() as client:
        ask = {"experiment": "e", "context": {}, "arms": ["a", "b"]}
        assert (await client.post("/models/bandit", json=ask)).status_code == 200
    await house.context.lanes.drain()
    rows = await house.ledger()
    assert [row["family"] for row in rows] == ["bandit"]


async def test_what_it_leaves_without_an_answer_is_counted_against_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, candidate = await shadowed(house)
    (safety,) = house.replicas["safety"]
    judge = safety.judge

    def fail(batch: Batch, by: Judge) -> Judgement:
        if batch.version == candidate:
            raise RuntimeError("the candidate's policy cannot be judged by")
        found: Judgement = judge(batch, by)
        return found

    monkeypatch.setattr(safety, "judge", fail)
    await house.ask({"entity": "order-gateway", "load": 0.5})
    await until(lambda: counted(house, "failed") == 1)
    of = StepOf("beside", 0, candidate)
    tally = Tally()
    while not tally.asked:  # a gateway adds what it counted each second
        tally = await Unanswered(house.redis).read(of)
    assert tally == Tally(asked=1, lost=1)
