import random
from typing import Any

import orjson
import pytest

from deployments.optimization.studies.cheap_suggestions import Suggested
from deployments.optimization.studies.handler import StudyHandler
from deployments.optimization.studies.operations import Operation, TellTrial
from deployments.optimization.studies.state import KeptStudy
from deployments.optimization.studies.suggestion_queue import SuggestionQueue
from deployments.runtime.helper.process import HelperProcess
from deployments.runtime.state.handler import Reply, StateRequest
from models.optimization.bayes.candidates import untried
from models.optimization.bayes.converged import best, pareto

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 9},
    "kind": {"type": "categorical", "choices": ["a", True, 3]},
}


class Still(SuggestionQueue):
    """A queue that only the test fills."""

    def __init__(self) -> None:
        super().__init__(HelperProcess())
        self.ready: list[Suggested] = []

    def want(self, *_: Any) -> None:
        """Want nothing."""

    def take(self, _: str) -> Suggested | None:
        return self.ready.pop(0) if self.ready else None


class Client:
    def __init__(self, **design: Any) -> None:
        self.queue = Still()
        self.handler = StudyHandler(self.queue)
        self.kept = self.handler.fresh("s")
        self.design = {"space": SPACE} | design
        self.log: list[bytes] = []
        self.count = 0

    def do(self, ask: Any) -> Reply:
        self.count += 1
        (reply,) = self.handler.answer([(self.kept, StateRequest("s", f"d{self.count}", ask))])
        if reply.event is not None:
            self.log.append(orjson.dumps(reply.event))
        return reply

    def ask(self, **more: Any) -> Reply:
        return self.do({"op": "ask", "design": self.design, **more})

    def tell(self, number: int, values: list[float], failed: bool = False, **more: float) -> Reply:
        outcome = {"values": values, "failed": failed, "constraints": more}
        return self.do({"op": "tell", "trial": number, **outcome})

    def replayed(self, at: int) -> KeptStudy:
        handler = StudyHandler(Still())
        kept = handler.fresh("s")
        events = [orjson.loads(line) for line in self.log]
        handler.replay([(kept, events[:at])])
        kept = handler.decode("s", handler.encode(kept))
        handler.replay([(kept, events[at:])])
        return kept


def past(value: float, x: float = 0.5) -> dict[str, Any]:
    point = {"x": x, "n": 3, "kind": True}
    return {"parameters": point, "values": [value], "constraints": {}, "failed": False}


@pytest.mark.parametrize("goals", [["minimise"], ["maximise"], ["minimise", "maximise"]])
def test_a_log_brings_the_state_back_to_the_bit(goals: list[str]) -> None:
    client, draw = Client(goals=goals, constraints=["c"]), random.Random(3)  # noqa: S311 - a test
    history = [{**past(0.1 * at), "values": [0.1 * at] * len(goals), "constraints": {"c": -1.0}}
               for at in range(3)]  # fmt: skip
    for step in range(60):
        if step % 3 == 0:
            point = {"x": draw.random(), "n": draw.randint(1, 9), "kind": "a"}
            gain = draw.random() / 3
            client.queue.ready.append(Suggested(point, "model", 0, gain, 1.0, gain))
        client.ask(history=history if step > 20 else history[:1])
        number = draw.randint(0, step + 1)
        client.tell(number, [draw.random() for _ in goals], c=draw.random() - 0.7)
        client.tell(draw.randint(0, step + 1), [], failed=True)
    saved = client.handler.encode(client.kept)
    for at in (0, 1, 50, len(client.log)):
        assert client.handler.encode(client.replayed(at)) == saved


@pytest.mark.parametrize("goals", [["minimise"], ["maximise"], ["minimise", "maximise"]])
def test_the_best_is_what_the_engine_calls_best(goals: list[str]) -> None:
    client, draw = Client(goals=goals, constraints=["c"]), random.Random(5)  # noqa: S311 - a test
    order = list(range(40))
    draw.shuffle(order)
    for _ in order:
        client.ask()
    for number in order:
        values = [round(draw.random(), 1 if len(goals) == 1 else 6) for _ in goals]
        client.tell(number, values, c=draw.random() - 0.5)
        running = client.kept.running
        assert running is not None
        if len(goals) == 1:
            assert running.front.best() == best(running.study)
        else:
            assert running.front.trials() == pareto(running.study)


def test_refusals_leave_no_trace() -> None:
    client = Client()
    client.ask()
    saved = client.handler.encode(client.kept)
    bad: list[Reply] = [
        client.ask(history=[past(1.0), past(1.0, x=7.0)]),
        client.ask(history=[past(1.0)] * 10_000),
        client.tell(3, [1.0]),
        client.tell(0, [1.0, 2.0]),
        client.tell(0, [1.0], c=1.0),
    ]
    client.design = {"space": SPACE, "seed": 9}
    bad.append(client.ask())
    for reply in bad:
        assert reply.refusal is not None
        assert reply.event is None
    assert client.handler.encode(client.kept) == saved


def test_what_is_sent_again_is_the_same_trial() -> None:
    client = Client()
    first = client.ask()
    client.ask()
    told = client.tell(0, [4.0])
    saved = client.handler.encode(client.kept)
    again = client.handler.repeat_reply(
        client.kept, StateRequest("s", "d1", {"op": "ask", "design": {}})
    )
    assert first.detail is not None
    assert again.detail is not None
    for name in ("trial_id", "parameters"):
        assert again.detail["data"][name] == first.detail["data"][name]
    tell: TellTrial = {
        "op": "tell",
        "trial": 0,
        "values": [4.0],
        "constraints": {},
        "failed": False,
    }
    asked: StateRequest[Operation] = StateRequest("s", "d3", tell)
    assert client.handler.repeat_reply(client.kept, asked).detail == told.detail
    assert client.handler.encode(client.kept) == saved
    kept = client.handler.decode("s", saved)  # known still after a replica's death
    revived = client.handler.repeat_reply(
        kept, StateRequest("s", "d1", {"op": "ask", "design": {}})
    )
    assert revived.detail is not None
    assert revived.detail["data"]["trial_id"] == 0


def test_a_candidate_in_the_queue_is_not_suggested_twice() -> None:
    points = [{"x": x / 10, "n": 1, "kind": 3} for x in range(6)]
    client = Client(candidates=points, starts=2)
    for number in range(2):
        client.ask()
        client.tell(number, [1.0])
    running = client.kept.running
    assert running is not None
    tried = running.study.trials[0].parameters
    client.queue.ready = [Suggested(tried, "model", 2)]
    for _ in range(4):
        client.ask()
    found = [trial.parameters["x"] for trial in running.study.trials]
    assert sorted(found) == [point["x"] for point in points]
    refused = client.ask()
    assert refused.event is None
    assert refused.refusal == {
        "code": "conflict",
        "message": "All 6 candidates have been suggested: report the outcomes of the pending "
        "trials, or create another study with more candidates",
    }
    assert client.handler.encode(client.replayed(3)) == client.handler.encode(client.kept)


def test_candidates_left_are_counted_wherever_a_trial_comes_from() -> None:
    client = Client(candidates=[{"x": x / 10, "n": 3, "kind": True} for x in range(8)])
    client.ask(history=[past(1.0, x=0.3), past(1.0, x=0.3), past(1.0, x=0.35)])
    client.ask()
    for at in range(len(client.log) + 1):
        running = client.replayed(at).running
        assert running is not None
        assert running.left == 5
        assert list(running.unasked.values()) == untried(running.study)


def test_a_history_of_all_candidates_is_kept_though_nothing_is_left() -> None:
    client = Client(candidates=[{"x": 0.5, "n": 3, "kind": True}])
    reply = client.ask(history=[past(1.0)])
    assert reply.refusal is not None
    assert reply.event is not None
    running = client.replayed(0).running
    assert running is not None
    assert (len(running.study.trials), running.left) == (1, 0)


def test_a_trial_that_nobody_was_given_is_the_next_ones() -> None:
    candidates = [{"x": 0.5, "n": at, "kind": True} for at in (1, 2, 3)]
    client = Client(candidates=candidates)
    for _ in range(3):
        client.ask()
    taken = {"op": "withdraw", "decisions": ["d1", "d3", "nobody-knows-me"], "reusable": True}
    client.do(taken)
    (shown,) = [client.do({"op": "show"}).detail]
    assert shown is not None
    assert (shown["data"]["pending"], shown["data"]["candidates_left"]) == (1, 2)
    cut = len(client.log)
    replies = [client.ask() for _ in range(2)]
    assert [reply.detail["data"]["trial_id"] for reply in replies if reply.detail] == [0, 2]
    refused = client.ask().refusal
    assert refused is not None
    assert refused["code"] == "conflict"
    saved = client.handler.encode(client.kept)
    for at in (0, 2, cut, len(client.log)):
        assert client.handler.encode(client.replayed(at)) == saved


def test_a_trial_that_a_policy_refuses_is_suggested_to_nobody_else() -> None:
    client = Client()
    client.ask()
    client.do({"op": "withdraw", "decisions": ["d1"], "reusable": False})
    (again,) = [client.ask().detail]
    assert again is not None
    assert again["data"]["trial_id"] == 1


def test_a_withdrawn_trial_that_was_told_all_the_same_is_not_given() -> None:
    client = Client()
    client.ask()
    client.do({"op": "withdraw", "decisions": ["d1"], "reusable": True})
    client.tell(0, [1.0])
    (after,) = [client.ask().detail]
    assert after is not None
    assert after["data"]["trial_id"] == 1
    assert client.handler.encode(client.replayed(2)) == client.handler.encode(client.kept)
