"""Batches whose rows belong to several holders, of which one hangs, fails or is lost."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.api.errors import StageLostError
from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.handler import ExperimentHandler
from deployments.optimization.experiments.state import KeptExperiment
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.state.entries import Append
from deployments.runtime.state.handler import StateRequest
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.routing import ByKey, holder
from deployments.runtime.state.service import KeyedService
from deployments.runtime.transport.call import Call, GivenUpError, current_call
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.tcp import exchange as exchange_module
from deployments.runtime.transport.tcp.exchange import Exchange
from tests.deployments.replicas import Directory, Replica, Room, SilentReplica
from tests.deployments.runtime.state.asking import Service, ask, expected, totals
from tests.deployments.runtime.state.tally import Tally, TallyHandler
from tests.redis_server import RedisServer
from tests.waiting import until

PATIENT, IMPATIENT = 20.0, 0.3


class Holder:
    """Answers each row with its number, and can be made to hang or fail."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False
        # What it answers by, whatever it is asked for.
        self.version: int | None = None

    async def __call__(self, frame: Frame) -> Frame:
        batch = Batch.from_frame(frame)
        self.batches.append(batch.keys)
        await self.gate.wait()
        if self.fails:
            raise KeyError("broken")
        details = [{"data": {"row": ask}} for ask in batch.asks]
        x = np.array(batch.asks, dtype=np.float64)
        answer = Prediction({"x": x}, "model", "1", details).to_frame()  # type: ignore[arg-type] # invariant
        answer.head["version"] = batch.version if self.version is None else self.version
        return answer


def rows(keys: list[str]) -> Batch:
    numbers = list(range(len(keys)))
    return Batch("f", keys, {}, numbers, keys, [f"id-{n}" for n in numbers])


class Two:
    """Two replicas, and keys of each."""

    def __init__(self, first: Replica, second: Replica, exchange: Exchange) -> None:
        self.first, self.second, self.exchange = first, second, exchange
        places = [first.address, second.address]
        keys = [f"key-{n}" for n in range(40)]
        self.of_first = [key for key in keys if holder(key, places) == first.address][:4]
        self.of_second = [key for key in keys if holder(key, places) == second.address][:4]
        self.mixed = [
            key for pair in zip(self.of_first, self.of_second, strict=True) for key in pair
        ]


async def two(room: Room, first: Holder, second: Holder) -> Two:
    one, other = await room.replica(first), await room.replica(second)
    exchange = room.exchange(Directory(one.address, other.address))
    await until(lambda: len(exchange.alive()) == 2)
    return Two(one, other, exchange)


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)
    monkeypatch.setattr(exchange_module, "PING_EVERY_SECONDS", 0.02)


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
@pytest.mark.parametrize("falls_back", [False, True])
async def test_rows_without_an_answer_are_refused_and_the_others_are_answered(
    room: Room, trouble: str, falls_back: bool
) -> None:
    first, second = Holder(), Holder()
    house = await two(room, first, second)
    first.fails = trouble == "fails"
    if trouble == "hangs":
        first.gate.clear()
    hop = ByKey("stage", house.exchange, time.monotonic, falls_back=falls_back)
    found = await hop(rows(house.mixed), PATIENT if trouble == "fails" else IMPATIENT)
    assert found.columns["x"].tolist()[1::2] == [1.0, 3.0, 5.0, 7.0]
    assert [each and each["data"]["row"] for each in found.details][1::2] == [1, 3, 5, 7]
    assert np.isnan(found.columns["x"][::2]).all()
    assert sorted(found.refusals) == ([] if falls_back else [0, 2, 4, 6])
    assert {each["code"] for each in found.refusals.values()} <= {"unavailable"}
    assert found.model == "model"
    first.gate.set()


@pytest.mark.parametrize(
    "answer",
    [
        Frame({"x": np.zeros(4)}),  # names no model
        Frame({"x": np.zeros(4)}, {"model": "m", "model_version": "1", "odd": 1}),
        Frame({"x": np.zeros(3)}, {"model": "m", "model_version": "1"}),
        Frame({"x": np.zeros(4)}, {"model": "m", "model_version": "1", "details": [None]}),
        Frame({"x": np.zeros(4)}, {"model": "m", "model_version": "1", "refusals": {"x": {}}}),
        Frame({"x": np.zeros(4)}, {"model": "m", "model_version": "1", "refusals": {"4": {}}}),
    ],
)
async def test_an_answer_that_cannot_be_read_refuses_its_own_rows_alone(
    room: Room, answer: Frame
) -> None:
    async def odd(asked: Frame) -> Frame:
        return Frame(answer.columns, answer.head | {"version": asked.head["version"]})

    house = await two(room, odd, Holder())  # type: ignore[arg-type] # a handler as well
    hop = ByKey("stage", house.exchange, time.monotonic)
    found = await hop(rows(house.mixed), PATIENT)
    assert found.columns["x"].tolist()[1::2] == [1.0, 3.0, 5.0, 7.0]
    assert sorted(found.refusals) == [0, 2, 4, 6]
    assert "cannot be read" in found.refusals[0]["message"]


async def test_rows_that_cannot_be_sent_are_refused_alone(room: Room) -> None:
    house = await two(room, Holder(), Holder())
    batch = rows(house.mixed)
    batch.asks[2] = object()
    found = await ByKey("stage", house.exchange, time.monotonic)(batch, PATIENT)
    assert found.columns["x"].tolist()[1::2] == [1.0, 3.0, 5.0, 7.0]
    assert sorted(found.refusals) == [0, 2, 4, 6]


async def test_rows_that_a_holder_answers_by_another_version_have_no_answer(room: Room) -> None:
    first, second = Holder(), Holder()
    house = await two(room, first, second)
    first.version = 3
    asked = rows(house.mixed)
    asked.version = 4
    found = await ByKey("stage", house.exchange, time.monotonic)(asked, PATIENT)
    assert sorted(found.refusals) == [0, 2, 4, 6]
    assert all(
        "with version 3 instead of version 4" in each["message"] for each in found.refusals.values()
    )
    assert found.columns["x"].tolist()[1::2] == [1.0, 3.0, 5.0, 7.0]
    assert found.version == 4


async def test_without_any_answer_the_stage_is_lost(room: Room) -> None:
    first, second = Holder(), Holder()
    house = await two(room, first, second)
    for each in (first, second):
        each.gate.clear()
    with pytest.raises(StageLostError, match="no answer came in time"):
        await ByKey("stage", house.exchange, time.monotonic)(rows(house.mixed), IMPATIENT)


async def test_a_late_batch_ends_alone_and_its_holder_goes_on(room: Room) -> None:
    first, second = Holder(), Holder()
    house = await two(room, first, second)
    hop = ByKey("stage", house.exchange, time.monotonic)
    first.gate.clear()
    patient = asyncio.create_task(hop(rows(house.mixed), PATIENT))
    await until(lambda: len(first.batches) == 1)
    late = await hop(rows(house.mixed), IMPATIENT)
    assert len(late.refusals) == 4
    assert len(house.exchange.alive()) == 2
    first.gate.set()
    assert (await patient).refusals == {}
    assert (await hop(rows(house.mixed), PATIENT)).columns["x"].tolist() == list(range(8))


async def test_the_rows_of_a_lost_holder_go_to_another_and_only_those(room: Room) -> None:
    first, second = Holder(), Holder()
    house = await two(room, first, second)
    first.gate.clear()
    hop = ByKey("stage", house.exchange, time.monotonic)
    asked = asyncio.create_task(hop(rows(house.mixed), PATIENT))
    await until(lambda: len(first.batches) == len(second.batches) == 1)
    house.first.kill()
    assert (await asked).columns["x"].tolist() == list(range(8))
    assert second.batches == [house.of_second, house.of_first]


async def test_answers_are_kept_when_the_last_holder_dies(room: Room) -> None:
    first, second = Holder(), Holder()
    house = await two(room, first, second)
    first.gate.clear()
    directory: Any = house.exchange._where
    hop = ByKey("stage", house.exchange, time.monotonic)
    asked = asyncio.create_task(hop(rows(house.mixed), 1.0))
    channel = house.exchange.alive()[house.second.address]
    await until(lambda: len(second.batches) == 1 and channel.in_flight == 0)  # it is answered
    directory.addresses = []
    house.second.kill()
    house.first.kill()
    found = await asked
    assert found.columns["x"].tolist()[1::2] == [1.0, 3.0, 5.0, 7.0]
    assert sorted(found.refusals) == [0, 2, 4, 6]


async def test_the_keys_of_a_replica_that_hangs_are_asked_of_others_until_it_is_heard(
    room: Room, silent_replica: SilentReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "SILENT_SECONDS", 1.0)
    living = Holder()
    other = await room.replica(living)
    exchange = room.exchange(Directory(silent_replica.address, other.address))
    await until(lambda: len(exchange.alive()) == 2)
    hop = ByKey("stage", exchange, time.monotonic)
    places = list(exchange.alive())
    keys = [key for key in map(str, range(40)) if holder(key, places) == silent_replica.address]
    silent_replica.stop()
    await until(lambda: exchange.responsive().keys() == {other.address})
    assert (await hop(rows(keys), PATIENT)).refusals == {}
    assert living.batches == [keys]
    silent_replica.go_on()
    await until(lambda: len(exchange.responsive()) == 2)
    assert len(exchange.alive()) == 2


class Hesitant(TallyHandler):
    """Takes back what nobody was told of, by taking as much away."""

    def withdraw(self, state: Tally, request: StateRequest) -> Any:
        return -request.ask if state.add(-request.ask) is not None else None


@pytest.mark.parametrize("for_good", [False, True])
async def test_what_was_written_while_the_caller_gave_up_is_taken_back(
    service: Callable[..., Service], for_good: bool
) -> None:
    one, call = service(handler=Hesitant()), Call()
    log, append = one._log, one._log.append

    async def slow(appends: Sequence[Append]) -> list[bool | None]:
        taken = await append(appends)
        call.given_up, call.for_good = True, for_good  # the word comes when it is written
        return taken

    log.append = slow  # type: ignore[method-assign] # for a test
    current_call.set(call)
    await ask(one, ("a", 3.0), ("b", None))
    current_call.set(None)
    assert one.cache._residents["a"].number == 1 + for_good
    left = expected([3.0, -3.0] if for_good else [3.0])
    assert await totals(service(), ("a", None)) == [left]
    assert await totals(one, ("a", None)) == [left]


async def test_also_where_the_caller_gave_up_between_two_rounds(
    service: Callable[..., Service],
) -> None:
    one, call = service(handler=Hesitant()), Call()
    await ask(one, ("a", 1.0))
    await ask(service(), ("a", 2.0))  # so that a's row takes a second round
    log, append = one._log, one._log.append

    async def slow(appends: Sequence[Append]) -> list[bool | None]:
        taken = await append(appends)
        call.given_up = call.for_good = True
        return taken

    log.append = slow  # type: ignore[method-assign] # for a test
    current_call.set(call)
    with pytest.raises(GivenUpError):
        await ask(one, ("a", 3.0), ("b", 5.0))
    current_call.set(None)
    left = [expected([1.0, 2.0]), expected([5.0, -5.0])]
    assert await totals(service(), ("a", None), ("b", None)) == left


async def test_a_holder_that_comes_back_answers_from_what_others_wrote_meanwhile(
    service: Callable[[], Service],
) -> None:
    one, other = service(), service()
    await ask(one, ("a", 1.0), ("b", 1.0), ("c", None))
    await ask(other, ("a", 2.0), ("b", "delete"), ("c", 3.0))
    seen = await totals(one, ("a", None), ("b", None), ("c", None))
    assert seen == [expected([1.0, 2.0]), 0.0, 3.0]


async def test_a_row_that_is_refused_is_refused_by_the_present_state(
    redis: Redis,
) -> None:
    def holder_of_experiments() -> KeyedService[KeptExperiment]:
        return KeyedService(
            ExperimentHandler(time.time), KeyLog(redis, "experiment"), time.monotonic
        )

    async def answer_of(of: KeyedService[KeptExperiment], row: str, **asks: Any) -> Prediction:
        batch = Batch("bandit", ["e"], {}, [asks], ["e"], [row])
        return await of.answer(batch, "m", "1", Configured())

    decide = {"op": "decide", "context": {}, "policy": "ucb", "arms": ["x", "y"]}
    one, other = holder_of_experiments(), holder_of_experiments()
    await answer_of(one, "first", **decide)
    await answer_of(other, "second", **decide)
    reward = await answer_of(one, "third", op="reward", decision="second", reward=0.5)
    assert reward.refusals == {}


async def test_without_redis_nobody_is_answered_from_a_state_that_may_be_old(
    server: RedisServer, service: Callable[[], Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0))
    server.kill()
    answer = await ask(one, ("a", None), ("a", -1.0))
    assert np.isnan(answer.columns["total"]).all()
    assert answer.refusals[1]["code"] == "unavailable"
    server.start()
    assert await totals(one, ("a", None)) == [1.0]
