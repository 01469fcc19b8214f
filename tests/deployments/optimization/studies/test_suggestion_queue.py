import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from deployments.optimization.studies import suggestion_queue
from deployments.optimization.studies.state import KeptStudy, apply
from deployments.optimization.studies.suggesting import suggested
from deployments.optimization.studies.suggestion_queue import DEPTH, SuggestionQueue
from deployments.runtime.helper.process import HelperLostError, HelperProcess, TaskFailedError
from tests.waiting import PATIENCE_SECONDS, until

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


class Scripted(HelperProcess):
    """Makes suggestions in turn, or what it is told to raise."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int, int]] = []
        self.going = asyncio.Event()
        self.going.set()
        self.troubles: list[Exception] = []

    async def do(self, task: str, **ask: Any) -> Any:
        assert task == "suggest"
        ask = orjson.loads(orjson.dumps(ask))  # as the pipe does
        await self.going.wait()
        self.asked.append((ask["name"], len(ask["trials"]), len(ask["ahead"])))
        if self.troubles:
            raise self.troubles.pop(0)
        share = len(self.asked) / 1000
        return {"parameters": {"x": share}, "source": "model", "gain": 0.1}


def study(name: str, told: int) -> KeptStudy:
    kept = KeptStudy(name)
    rows = [[{"x": at / 100}, [at / 100], [], False] for at in range(told)]
    apply(kept, {"start": {"space": SPACE}, "history": rows})
    return kept


@pytest.fixture
def helper() -> Scripted:
    return Scripted()


@pytest.fixture
async def queue(helper: Scripted) -> AsyncIterator[SuggestionQueue]:
    made = SuggestionQueue(helper)
    yield made
    await made.close()


def want(queue: SuggestionQueue, kept: KeptStudy) -> None:
    assert kept.running is not None
    queue.want(kept.name, kept.running)


async def test_a_study_gets_a_few_each_made_as_if_the_others_were_on_their_way(
    queue: SuggestionQueue, helper: Scripted
) -> None:
    want(queue, study("s", 8))
    await until(lambda: len(helper.asked) == DEPTH)
    await asyncio.sleep(0.02)
    assert helper.asked == [("s", 8, ahead) for ahead in range(DEPTH)]
    taken = [queue.take("s") for _ in range(DEPTH + 1)]
    assert [each.parameters["x"] for each in taken if each] == [0.001, 0.002, 0.003]
    assert taken[-1] is None


async def test_nothing_is_made_before_a_model_would_be_asked(
    queue: SuggestionQueue, helper: Scripted
) -> None:
    want(queue, study("s", 4))
    await asyncio.sleep(0.02)
    assert helper.asked == []


async def test_empty_places_come_first_and_then_who_waited_longest(
    queue: SuggestionQueue, helper: Scripted
) -> None:
    helper.going.clear()
    for name in ("a", "b", "c"):
        want(queue, study(name, 8))
    await asyncio.sleep(0)
    helper.going.set()
    await until(lambda: len(helper.asked) == 3 * DEPTH)
    assert [name for name, *_ in helper.asked] == ["a", "b", "c"] * DEPTH


async def test_what_is_older_than_the_latest_outcome_stands_until_a_fresh_one_comes(
    queue: SuggestionQueue, helper: Scripted
) -> None:
    kept = study("s", 8)
    want(queue, kept)
    await until(lambda: len(helper.asked) == DEPTH)
    helper.going.clear()
    apply(kept, {"history": [[{"x": 0.9}, [0.9], [], False]]})
    want(queue, kept)
    await until(lambda: queue.makes("s"))
    old = queue.take("s")
    assert old is not None
    assert old.basis == 8
    helper.going.set()
    await until(lambda: len(helper.asked) == 2 * DEPTH)
    found = [queue.take("s") for _ in range(DEPTH)]
    assert [each.basis for each in found if each] == [9] * DEPTH


async def test_who_waits_is_told_as_soon_as_something_is_there(
    queue: SuggestionQueue, helper: Scripted
) -> None:
    helper.going.clear()
    want(queue, study("s", 8))
    waiting = asyncio.create_task(queue.wait_for_suggestions([("s", 60.0)]))
    await until(lambda: queue.makes("s"))
    assert not waiting.done()
    helper.going.set()
    await waiting
    assert queue.take("s") is not None
    await queue.wait_for_suggestions([("nobody", 60.0)])  # nothing will come of that one


async def test_trouble_with_one_study_is_not_the_others(
    queue: SuggestionQueue, helper: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestion_queue, "PAUSE_SECONDS", 0.0)
    helper.troubles = [TaskFailedError("bad"), HelperLostError("dead"), ValueError("odd")]
    bad, good = study("bad", 8), study("good", 8)
    want(queue, bad)
    want(queue, good)
    await until(lambda: len(helper.asked) == 3)
    want(queue, good)
    await until(lambda: len(helper.asked) == 3 + DEPTH)
    assert queue.take("good") is not None
    assert queue.take("bad") is None
    want(queue, bad)
    await until(lambda: queue.take("bad") is not None)


async def test_what_left_memory_is_forgotten(queue: SuggestionQueue, helper: Scripted) -> None:
    helper.going.clear()
    want(queue, study("s", 8))
    await until(lambda: queue.makes("s"))
    queue.forget("s")
    helper.going.set()
    await until(lambda: len(helper.asked) == 1)
    await asyncio.sleep(0.01)
    assert queue.take("s") is None
    assert len(helper.asked) == 1


def test_a_suggestion_is_made_from_what_came_through_the_pipe() -> None:
    kept = study("s", 8)
    assert kept.running is not None
    found = kept.running.study
    ask = orjson.loads(orjson.dumps({"design": {"space": SPACE}, "trials": found.trials}))
    first = suggested("s", ahead=[], **ask)
    assert first["source"] == "model"
    assert 0 <= first["parameters"]["x"] <= 1
    second = suggested("s", ahead=[[first["parameters"], first["gain"]]], **ask)
    assert second["parameters"] != first["parameters"]
    orjson.dumps(second)


def listing(left: int) -> KeptStudy:
    """Give a study of eight trials and so many candidates that the script will name."""
    kept = KeptStudy("s")
    rows = [[{"x": at / 100}, [at / 100], [], False] for at in range(8)]
    more = [{"x": at / 1000} for at in range(1, left + 1)]
    candidates = [*more, *(row[0] for row in rows)]
    apply(kept, {"start": {"space": SPACE, "candidates": candidates}, "history": rows})
    return kept


async def test_no_more_is_made_than_there_are_candidates_left(
    queue: SuggestionQueue, helper: Scripted
) -> None:
    kept = listing(2)
    want(queue, kept)
    await until(lambda: len(helper.asked) == 2)
    for number in range(2):
        await asyncio.sleep(0.02)
        assert len(helper.asked) == 2
        taken = queue.take("s")
        assert taken is not None
        apply(kept, {"ask": [f"d{number}", taken.parameters, None]})
        want(queue, kept)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await queue.wait_for_suggestions([("s", 60.0)])  # there is nothing to wait for


async def test_a_candidate_that_was_suggested_meanwhile_leaves_the_queue(
    queue: SuggestionQueue, helper: Scripted
) -> None:
    kept = listing(9)
    want(queue, kept)
    await until(lambda: len(helper.asked) == DEPTH)
    helper.going.clear()
    # The second lies ready; the fourth is what will be made next.
    apply(kept, {"ask": ["d0", {"x": 0.002}, None]})
    apply(kept, {"ask": ["d1", {"x": 0.004}, None]})
    want(queue, kept)
    helper.going.set()
    await until(lambda: len(helper.asked) == DEPTH + 2)
    await asyncio.sleep(0.02)
    taken = [queue.take("s") for _ in range(DEPTH + 1)]
    assert [each.parameters["x"] for each in taken if each] == [0.001, 0.003, 0.005]
