"""The history actor is asked without blocking a loop, and an absent one is told in words."""

import ast
import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError

from deployments.history import client as module
from deployments.history.client import HistoryAwayError, HistoryClient, HistorySource
from deployments.history.discovery import HistoryActor, history
from deployments.history.questions import Questions
from features.errors import SourceAwayError
from observability.errors import ArchiveElsewhereError
from tests.waiting import until

# The actors here answer their arguments, of whatever type.
ROWS: Any = Questions.rows
ROOT = Path(__file__).parents[3]


class Actor:
    """An actor's handle; each call raises the next error, or answers its arguments."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    @property
    def rows(self) -> "Actor":
        return self

    async def remote(self, *args: Any) -> Any:
        if self._errors:
            raise self._errors.pop(0)
        return args


class Found:
    """Finds these actors one after the other, never on a loop's thread."""

    def __init__(self, *actors: Any) -> None:
        self._actors = list(actors)
        self.searches = 0

    def __call__(self) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        self.searches += 1
        actor = self._actors.pop(0) if len(self._actors) > 1 else self._actors[0]
        if isinstance(actor, Exception):
            raise actor
        return HistoryActor(actor)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(module, "SEARCH_AGAIN_SECONDS", 0.0)


async def test_it_is_found_once_however_many_ask() -> None:
    found = Found(Actor())
    client = HistoryClient(found)
    answers = await asyncio.gather(*(client.ask(ROWS, n) for n in range(20)))
    assert answers == [(n,) for n in range(20)]
    assert found.searches == 1


async def test_one_that_died_is_looked_for_again() -> None:
    found = Found(Actor(ActorDiedError()), Actor())
    assert await HistoryClient(found).ask(ROWS, 1) == (1,)
    assert found.searches == 2


async def test_one_that_cannot_be_reached_for_a_moment_is_kept() -> None:
    found = Found(Actor(ActorUnavailableError("busy", None)))
    assert await HistoryClient(found).ask(ROWS, 1) == (1,)
    assert found.searches == 1


async def test_while_the_gcs_is_away_the_loop_goes_on_and_the_question_ends_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIND_SECONDS", 0.05)
    back, turns = threading.Event(), 0

    def find() -> Any:
        back.wait(30)
        return HistoryActor(Actor())

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    client = HistoryClient(find)
    with pytest.raises(HistoryAwayError, match="cannot be found at the moment"):
        await client.ask(ROWS, 1)
    await until(lambda: turns > 5)  # it is still being looked for
    back.set()
    assert await client.ask(ROWS, 1) == (1,)
    turning.cancel()


async def test_a_search_that_hangs_for_good_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIND_SECONDS", 0.05)
    now, end, searches = 0.0, threading.Event(), 0

    def find() -> Any:
        nonlocal searches
        searches += 1
        if searches == 1:
            end.wait(30)
        return HistoryActor(Actor())

    client = HistoryClient(find, lambda: now)
    for now in (0.0, module.HUNG_SECONDS):  # noqa: B007 - the client's clock
        with pytest.raises(HistoryAwayError, match="cannot be found at the moment"):
            await client.ask(ROWS, 1)
    assert searches == 1
    now = module.HUNG_SECONDS + 1
    assert await client.ask(ROWS, 1) == (1,)
    assert searches == 2
    end.set()


async def test_a_history_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.02)

    class Hanging:
        @property
        def rows(self) -> "Hanging":
            return self

        async def remote(self) -> None:
            await asyncio.sleep(60)

    client = HistoryClient(Found(Hanging()))
    with pytest.raises(HistoryAwayError, match="TimeoutError"):
        await client.ask(ROWS)


async def test_an_archive_that_is_away_is_told_in_its_own_words() -> None:
    client = HistoryClient(Found(ArchiveElsewhereError("The archive is on node 10.0.0.7")))
    with pytest.raises(HistoryAwayError, match=r"on node 10\.0\.0\.7") as refusal:
        await client.ask(ROWS, 1)
    assert refusal.value.status == 503
    assert refusal.value.retry_after_s is not None


async def test_where_there_is_none_nobody_searches_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SEARCH_AGAIN_SECONDS", 5.0)
    now = 0.0
    found = Found(ArchiveElsewhereError("away"))
    client = HistoryClient(found, lambda: now)
    for _ in range(5):
        with pytest.raises(HistoryAwayError):
            await client.ask(ROWS, 1)
    assert found.searches == 1
    now = 6.0
    with pytest.raises(HistoryAwayError):
        await client.ask(ROWS, 1)
    assert found.searches == 2


async def test_ray_is_never_asked_for_an_actor_on_a_running_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever reaches ray.get_actor on a loop blocks all of its requests, for up to a minute."""

    def get_actor(*_: str) -> Any:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return Actor(*[ActorDiedError()] * 9)

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_actor", get_actor)
    monkeypatch.setattr(module, "_client", HistoryClient())
    with pytest.raises(RuntimeError, match="on an event loop use ask"):
        history()
    with pytest.raises(HistoryAwayError):
        await module.ask(ROWS, 1)
    monkeypatch.setattr(Actor, "latest", Actor.rows, raising=False)
    with pytest.raises(SourceAwayError):
        await HistorySource().latest(["orders"])


async def test_a_process_of_no_cluster_starts_none() -> None:
    with pytest.raises(HistoryAwayError, match="NoClusterError"):
        await HistoryClient().ask(Questions.latest, [])
    assert not ray.is_initialized()


def test_no_coroutine_of_ours_calls_what_blocks() -> None:
    found = []
    for path in sorted((ROOT / "deployments").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef):
                calls = [each for each in ast.walk(function) if isinstance(each, ast.Call)]
                found += [
                    f"{path.relative_to(ROOT)}:{call.lineno}"
                    for call in calls
                    if ast.unparse(call.func) in {"history", "history.history", "ray.get_actor"}
                ]
    assert found == []
