"""The history rests while nobody asks it, and is quick while somebody does."""

from typing import Any

import pytest

from deployments.history.questions import Questions
from deployments.history.quiet import QUIET_AFTER_SECONDS, Quiet, noting_questions
from deployments.runtime.own_cluster import MAIN_THREAD_RESTS_SECONDS


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def actor() -> Any:
    """Give one that answers each question by its name."""

    def answers(name: str) -> Any:
        async def answer(_: Any, *args: Any, **named: Any) -> Any:
            return name, args, named

        return answer

    names = [name for name, each in vars(Questions).items() if callable(each) and name[0] != "_"]
    kind: type[Any] = type("Actor", (), {name: answers(name) for name in names})
    found: Any = noting_questions(kind)()
    found.clock = Clock()
    found.quiet = Quiet(found.clock)
    return found


async def test_it_rests_once_nobody_has_asked_for_long(actor: Any) -> None:
    assert actor.quiet.main_thread_rest() == 0.0
    actor.clock.now += QUIET_AFTER_SECONDS
    assert actor.quiet.main_thread_rest() == MAIN_THREAD_RESTS_SECONDS
    assert await actor.rows(["a"]) == ("rows", (["a"],), {})
    assert actor.quiet.main_thread_rest() == 0.0


@pytest.mark.parametrize("name", ["search", "timeline", "proof", "series", "check_source"])
async def test_every_question_that_a_client_waits_for_counts(actor: Any, name: str) -> None:
    actor.clock.now += QUIET_AFTER_SECONDS
    assert await getattr(actor, name)(limit=3) == (name, (), {"limit": 3})
    assert actor.quiet.main_thread_rest() == 0.0


async def test_what_the_anomaly_stage_asks_by_itself_does_not(actor: Any) -> None:
    actor.clock.now += QUIET_AFTER_SECONDS
    await actor.news("1")
    await actor.intervals([], [], 0, 1)
    assert actor.quiet.main_thread_rest() == MAIN_THREAD_RESTS_SECONDS
