import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from deployments.optimization.studies import shelf as shelf_module
from deployments.optimization.studies.shelf import DEPTH, SuggestionShelf
from deployments.optimization.studies.state import Kept, apply
from deployments.optimization.studies.suggesting import suggested
from deployments.runtime.aside.process import Aside, AsideLostError, TaskFailedError
from tests.waiting import PATIENCE_SECONDS, until

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


class Scripted(Aside):
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


def study(name: str, told: int) -> Kept:
    kept = Kept(name)
    rows = [[{"x": at / 100}, [at / 100], [], False] for at in range(told)]
    apply(kept, {"start": {"space": SPACE}, "history": rows})
    return kept


@pytest.fixture
def aside() -> Scripted:
    return Scripted()


@pytest.fixture
async def shelf(aside: Scripted) -> AsyncIterator[SuggestionShelf]:
    made = SuggestionShelf(aside)
    yield made
    await made.close()


def want(shelf: SuggestionShelf, kept: Kept) -> None:
    assert kept.running is not None
    shelf.want(kept.name, kept.running)


async def test_a_study_gets_a_few_each_made_as_if_the_others_were_on_their_way(
    shelf: SuggestionShelf, aside: Scripted
) -> None:
    want(shelf, study("s", 8))
    await until(lambda: len(aside.asked) == DEPTH)
    await asyncio.sleep(0.02)
    assert aside.asked == [("s", 8, ahead) for ahead in range(DEPTH)]
    taken = [shelf.take("s") for _ in range(DEPTH + 1)]
    assert [each.parameters["x"] for each in taken if each] == [0.001, 0.002, 0.003]
    assert taken[-1] is None


async def test_nothing_is_made_before_a_model_would_be_asked(
    shelf: SuggestionShelf, aside: Scripted
) -> None:
    want(shelf, study("s", 4))
    await asyncio.sleep(0.02)
    assert aside.asked == []


async def test_empty_places_come_first_and_then_who_waited_longest(
    shelf: SuggestionShelf, aside: Scripted
) -> None:
    aside.going.clear()
    for name in ("a", "b", "c"):
        want(shelf, study(name, 8))
    await asyncio.sleep(0)
    aside.going.set()
    await until(lambda: len(aside.asked) == 3 * DEPTH)
    assert [name for name, *_ in aside.asked] == ["a", "b", "c"] * DEPTH


async def test_what_is_older_than_the_latest_outcome_stands_until_a_fresh_one_comes(
    shelf: SuggestionShelf, aside: Scripted
) -> None:
    kept = study("s", 8)
    want(shelf, kept)
    await until(lambda: len(aside.asked) == DEPTH)
    await asyncio.sleep(0.01)
    aside.going.clear()
    apply(kept, {"history": [[{"x": 0.9}, [0.9], [], False]]})
    want(shelf, kept)
    await asyncio.sleep(0.01)
    old = shelf.take("s")
    assert old is not None
    assert old.basis == 8
    aside.going.set()
    await until(lambda: len(aside.asked) == 2 * DEPTH)
    await asyncio.sleep(0.01)
    found = [shelf.take("s") for _ in range(DEPTH)]
    assert [each.basis for each in found if each] == [9] * DEPTH


async def test_who_waits_is_told_as_soon_as_something_is_there(
    shelf: SuggestionShelf, aside: Scripted
) -> None:
    aside.going.clear()
    want(shelf, study("s", 8))
    waiting = asyncio.create_task(shelf.some([("s", 60.0)]))
    await asyncio.sleep(0.01)
    assert shelf.makes("s")
    assert not waiting.done()
    aside.going.set()
    await waiting
    assert shelf.take("s") is not None
    await shelf.some([("nobody", 60.0)])  # nothing will come of that one


async def test_trouble_with_one_study_is_not_the_others(
    shelf: SuggestionShelf, aside: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "PAUSE_SECONDS", 0.0)
    aside.troubles = [TaskFailedError("bad"), AsideLostError("dead"), ValueError("odd")]
    bad, good = study("bad", 8), study("good", 8)
    want(shelf, bad)
    want(shelf, good)
    await until(lambda: len(aside.asked) == 3)
    want(shelf, good)
    await until(lambda: len(aside.asked) == 3 + DEPTH)
    assert shelf.take("good") is not None
    assert shelf.take("bad") is None
    want(shelf, bad)
    await until(lambda: shelf.take("bad") is not None)


async def test_what_left_memory_is_forgotten(shelf: SuggestionShelf, aside: Scripted) -> None:
    aside.going.clear()
    want(shelf, study("s", 8))
    await asyncio.sleep(0.01)
    shelf.forget("s")
    aside.going.set()
    await until(lambda: len(aside.asked) == 1)
    await asyncio.sleep(0.01)
    assert shelf.take("s") is None
    assert len(aside.asked) == 1


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


def listing(left: int) -> Kept:
    """Give a study of eight trials and so many candidates that the script will name."""
    kept = Kept("s")
    rows = [[{"x": at / 100}, [at / 100], [], False] for at in range(8)]
    more = [{"x": at / 1000} for at in range(1, left + 1)]
    candidates = [*more, *(row[0] for row in rows)]
    apply(kept, {"start": {"space": SPACE, "candidates": candidates}, "history": rows})
    return kept


async def test_no_more_is_made_than_there_are_candidates_left(
    shelf: SuggestionShelf, aside: Scripted
) -> None:
    kept = listing(2)
    want(shelf, kept)
    await until(lambda: len(aside.asked) == 2)
    for number in range(2):
        await asyncio.sleep(0.02)
        assert len(aside.asked) == 2
        taken = shelf.take("s")
        assert taken is not None
        apply(kept, {"ask": [f"d{number}", taken.parameters, None]})
        want(shelf, kept)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await shelf.some([("s", 60.0)])  # there is nothing to wait for


async def test_a_candidate_that_was_asked_for_meanwhile_leaves_the_shelf(
    shelf: SuggestionShelf, aside: Scripted
) -> None:
    kept = listing(9)
    want(shelf, kept)
    await until(lambda: len(aside.asked) == DEPTH)
    aside.going.clear()
    # The second lies ready; the fourth is what will be made next.
    apply(kept, {"ask": ["d0", {"x": 0.002}, None]})
    apply(kept, {"ask": ["d1", {"x": 0.004}, None]})
    want(shelf, kept)
    aside.going.set()
    await until(lambda: len(aside.asked) == DEPTH + 2)
    await asyncio.sleep(0.02)
    taken = [shelf.take("s") for _ in range(DEPTH + 1)]
    assert [each.parameters["x"] for each in taken if each] == [0.001, 0.003, 0.005]
