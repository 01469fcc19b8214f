import asyncio
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest

from deployments.api.errors import StageLostError
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.hop import Hop
from deployments.runtime.state.routing import ByKey
from deployments.runtime.state.tags import tagged
from deployments.runtime.transport.call import Handler, current_call, given_up, given_up_for_good
from deployments.runtime.transport.frame import ASK, Frame, body_of, decode, encode
from deployments.runtime.transport.serve_handle import HandleServer, HandleTransport
from tests.deployments.handles import InProcessHandle
from tests.waiting import until

QUESTION = Frame({"load": np.array([0.5, 0.25])})
PATIENT, IMPATIENT = 10.0, 0.2
ID = "018f0f2e-7b1c-7abc-9def-0123456789ab"

# What a context variable of Serve's would be in a gateway.
of_a_request: ContextVar[str] = ContextVar("of_a_request", default="none")


class Replica:
    """A stage's replica as Serve calls it."""

    def __init__(self, handler: Handler) -> None:
        self.server = HandleServer(handler)

    async def answer_bytes(self, asked: bytes) -> bytes:
        return await self.server.answer(asked)


class Answering:
    """Answers, says how often it was asked and what became of it, and can be made to hang."""

    def __init__(self) -> None:
        self.asked = self.ended = self.given_up = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, frame: Frame) -> Frame:
        self.asked += 1
        await self.gate.wait()
        self.ended += 1
        self.given_up += given_up_for_good()
        columns = {name: 2 * column for name, column in frame.columns.items()}
        return Frame(columns, {"version": frame.head.get("version")})


@pytest.fixture
def handle() -> InProcessHandle:
    return InProcessHandle()


@pytest.fixture
def transport(handle: InProcessHandle) -> HandleTransport:
    as_serves: Any = handle
    return HandleTransport(as_serves)


@pytest.fixture
def hop(transport: HandleTransport) -> Hop:
    return Hop("stage", transport, time.monotonic)


@pytest.fixture(autouse=True)
def _nobody_else_calls() -> Iterator[None]:
    before = current_call.set(None)
    yield
    current_call.reset(before)


async def test_a_call_is_answered(handle: InProcessHandle, hop: Hop) -> None:
    handle.replicas.append(Replica(Answering()))
    assert (await hop(QUESTION, PATIENT)).columns["load"].tolist() == [1.0, 0.5]


async def test_the_calls_of_a_lost_replica_go_to_another(handle: InProcessHandle, hop: Hop) -> None:
    dying, living = Answering(), Answering()
    dying.gate.clear()
    first = Replica(dying)
    handle.replicas.append(first)
    calls = [asyncio.create_task(hop(QUESTION, PATIENT)) for _ in range(5)]
    await until(lambda: dying.asked == 5)
    handle.replicas.append(Replica(living))
    handle.kill(first)
    for answer in await asyncio.gather(*calls):
        assert answer.columns["load"].tolist() == [1.0, 0.5]
    assert living.asked == 5


async def test_a_stage_that_answers_that_it_cannot_is_not_asked_twice(
    handle: InProcessHandle, hop: Hop
) -> None:
    async def failing(_: Frame) -> Frame:
        raise KeyError("load")

    handle.replicas.append(Replica(failing))
    with pytest.raises(StageLostError, match="failed with KeyError"):
        await hop(QUESTION, PATIENT)
    assert handle.calls == 1


async def test_an_answer_by_another_version_is_as_good_as_none(
    handle: InProcessHandle, hop: Hop
) -> None:
    async def stubborn(frame: Frame) -> Frame:
        return Frame(frame.columns, {"version": 6})

    handle.replicas.append(Replica(stubborn))
    with pytest.raises(StageLostError, match="with version 6 instead of version 7"):
        await hop(Frame(QUESTION.columns, {"version": 7}), PATIENT)


async def test_without_any_replica_the_call_ends_with_its_budget(hop: Hop) -> None:
    with pytest.raises(StageLostError, match=r"within 0\.200 s"):
        await hop(QUESTION, IMPATIENT)


async def test_a_late_call_ends_alone_and_its_replica_hears_that_nobody_waits(
    handle: InProcessHandle, hop: Hop
) -> None:
    hanging = Answering()
    hanging.gate.clear()
    handle.replicas.append(Replica(hanging))
    patient = asyncio.create_task(hop(QUESTION, PATIENT))
    await until(lambda: hanging.asked == 1)
    with pytest.raises(StageLostError, match=r"within 0\.200 s"):
        await hop(QUESTION, IMPATIENT)
    hanging.gate.set()
    await patient
    await until(lambda: hanging.ended == 2)  # neither was broken off halfway
    assert hanging.given_up == 1


async def test_where_serve_says_nothing_the_deadline_does() -> None:
    seen: list[bool] = []

    async def slow(frame: Frame) -> Frame:
        seen.append(given_up())
        await until(given_up)
        seen.append(given_up_for_good())
        return frame

    asked = encode(Frame({}, {"budget_s": 0.05}), 0, ASK)
    answer = await HandleServer(slow).answer(asked)
    assert seen == [False, True]
    assert decode(body_of(answer))[2].head == {"budget_s": 0.05}


async def test_a_call_belongs_to_no_request(handle: InProcessHandle, hop: Hop) -> None:
    found = []

    async def curious(frame: Frame) -> Frame:
        found.append(of_a_request.get())
        return frame

    handle.replicas.append(Replica(curious))
    of_a_request.set("the first row's")
    await hop(QUESTION, PATIENT)
    assert found == ["none"]


async def test_closing_answers_what_came_in() -> None:
    handler = Answering()
    handler.gate.clear()
    server = HandleServer(handler)
    answer = asyncio.create_task(server.answer(encode(QUESTION, 0, ASK)))
    await until(lambda: handler.asked == 1)
    closing = asyncio.create_task(server.close())
    await asyncio.sleep(0)
    assert not closing.done()
    handler.gate.set()
    await closing
    assert decode(body_of(await answer))[2].columns["load"].tolist() == [1.0, 0.5]


class Holder:
    """Answers rows, and notes whose they were."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def __call__(self, frame: Frame) -> Frame:
        batch = Batch.from_frame(frame)
        self.keys += batch.keys
        answer = Prediction(dict(batch.columns), "m", "1").to_frame()
        answer.head["version"] = frame.head["version"]
        return answer


def batch_of(keys: list[str]) -> Batch:
    values = {"x": np.arange(float(len(keys)))}
    ids = [tagged(ID, key) for key in keys]
    return Batch("f", keys, values, keys=keys, ids=ids, version=1, config_hash="h")


async def test_a_key_stays_on_one_replica_and_answers_come_back_in_place(
    handle: InProcessHandle, transport: HandleTransport
) -> None:
    holders = [Holder(), Holder(), Holder()]
    handle.replicas += [Replica(each) for each in holders]
    by_key = ByKey("anomaly", transport, time.monotonic)
    keys = [f"stream-{n}" for n in range(100)]
    for _ in range(3):
        answer = await by_key(batch_of(keys), PATIENT)
        assert answer.columns["x"].tolist() == list(range(100))
    held = [set(each.keys) for each in holders]
    assert all(held)
    assert sum(map(len, held)) == 100


async def test_the_keys_of_a_lost_replica_go_to_another(
    handle: InProcessHandle, transport: HandleTransport
) -> None:
    holders = [Holder(), Holder()]
    first, second = [Replica(each) for each in holders]
    handle.replicas += [first, second]
    by_key = ByKey("anomaly", transport, time.monotonic)
    keys = [f"stream-{n}" for n in range(20)]
    await by_key(batch_of(keys), PATIENT)
    handle.kill(first)
    answer = await by_key(batch_of(keys), PATIENT)
    assert answer.columns["x"].tolist() == list(range(20))
    assert set(holders[1].keys) == set(keys)
