import random
from typing import Any

import numpy as np
import orjson
import pytest

from config_store.document import BanditExperiment, BanditsConfig
from deployments.api.bandits import MOST_ARMS
from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.handler import ExperimentHandler
from deployments.optimization.experiments.operations import ChangeArm, Operation, Reward
from deployments.optimization.experiments.state import KeptExperiment
from deployments.runtime.state.handler import Reply, StateRequest
from models.optimization.bandits.decision_log import Status

ARMS = ["a", "b", "c"]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """One experiment and its log; what is asked is answered, and what happened is kept as JSON."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.handler = ExperimentHandler(self.clock)
        self.kept = self.handler.fresh("e")
        self.settings = Configured()
        self.log: list[bytes] = []
        self.count = 0

    def ask(self, *asks: Operation) -> list[Reply]:
        rows = []
        for ask in asks:
            self.count += 1
            rows.append(
                (self.kept, StateRequest("e", f"d{self.count}", ask, settings=self.settings))
            )
        replies = self.handler.answer(rows)
        self.log += [orjson.dumps(reply.event) for reply in replies if reply.event is not None]
        return replies

    def replayed(self, at: int = 0) -> KeptExperiment:
        """Bring the state back from a snapshot of its beginning and its log."""
        handler = ExperimentHandler(self.clock)
        kept = handler.fresh("e")
        events = [orjson.loads(line) for line in self.log]
        handler.replay([(kept, events[:at])])
        kept = handler.decode("e", handler.encode(kept))
        handler.replay([(kept, events[at:])])
        return kept

    def refusal(self, ask: Operation) -> Any:
        (reply,) = self.ask(ask)
        return reply.refusal


def decide(x: float | None = None, **more: Any) -> Any:
    context = {} if x is None else {"x": x}
    return {"op": "decide", "context": context, "policy": "thompson", "arms": ARMS, **more}


def reward(decision: str, value: float) -> Reward:
    return {"op": "reward", "decision": decision, "reward": value}


DESIGNS: list[dict[str, Any]] = [
    {},
    {"family": "bernoulli", "budget": {"share": 0.1, "reserve": 3.0}},
    {"discount": 0.97, "deadline_s": 30.0, "missing_reward": 0.1},
    {"capacity": 20, "missing_reward": 0.0},
    {"budget": {"share": 0.2, "pricing": "confidence"}},
]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("context", [False, True])
def test_a_log_brings_the_state_back_to_the_bit(design: dict[str, Any], context: bool) -> None:
    if design.get("family") == "bernoulli" and context:
        return
    client, draw = Client(), random.Random(7)  # noqa: S311 - a test
    for step in range(60):
        client.clock.now += 1.0
        asks = [
            decide(
                draw.random() if context else None,
                design=design,
                policy=draw.choice(["ucb", "thompson"]),
                arms=ARMS if step < 30 else [*ARMS, "d"],
            )
            for _ in range(draw.randint(1, 4))
        ]
        asks += [reward(f"d{draw.randint(1, client.count + 1)}", draw.random()) for _ in range(2)]
        draw.shuffle(asks)
        client.ask(*asks)
        if step == 40:
            client.ask({"op": "arm", "what": "retire", "arm": "c"})
            client.ask({"op": "arm", "what": "baseline", "arm": "b"})
    saved = client.handler.encode(client.kept)
    for at in (0, 1, 50, len(client.log)):
        assert client.handler.encode(client.replayed(at)) == saved


@pytest.mark.parametrize("design", DESIGNS)
def test_requests_together_are_decided_as_one_by_one(design: dict[str, Any]) -> None:
    together, apart = Client(), Client()
    for client in (together, apart):
        client.ask(decide(design=design))
        client.ask(*(reward("d1", 0.7),))
    asks = [decide(design=design, policy="ucb" if at % 5 else "thompson") for at in range(40)]
    found = together.ask(*asks)
    expected = [apart.ask(ask)[0] for ask in asks]
    assert [(each.columns, each.detail) for each in found] == [
        (each.columns, each.detail) for each in expected
    ]
    assert together.handler.encode(together.kept) == apart.handler.encode(apart.kept)


def test_a_decision_that_is_sent_again_is_the_same_one() -> None:
    client = Client()
    replies = client.ask(*(decide(x / 10) for x in range(8)))
    saved = client.handler.encode(client.kept)
    for number, reply in enumerate(replies, 1):
        again = client.handler.repeat_reply(
            client.kept, StateRequest("e", f"d{number}", decide((number - 1) / 10))
        )
        assert again.columns == pytest.approx(reply.columns)
        assert again.detail is not None
        assert reply.detail is not None
        assert again.detail["data"]["config"] == reply.detail["data"]["config"]
        assert again.event is None
    assert client.handler.encode(client.kept) == saved


def test_a_reward_that_is_sent_again_is_answered_and_not_counted() -> None:
    client = Client()
    client.ask(decide())
    (first,) = client.ask(reward("d1", 0.5))
    again = client.handler.repeat_reply(client.kept, StateRequest("e", "d2", reward("d1", 0.5)))
    assert (again.columns, again.detail) == (first.columns, first.detail)
    assert client.refusal(reward("d1", 0.5))["code"] == "conflict"


def test_late_rewards_are_refused() -> None:
    client = Client()
    client.ask(decide(design={"deadline_s": 10.0, "missing_reward": 0.0}))
    client.clock.now += 11
    assert "late" in client.refusal(reward("d1", 0.5))["message"]
    client.ask(decide())
    client.clock.now += 1
    client.ask(reward("d3", 0.5))
    (shown,) = client.ask({"op": "show"})
    assert shown.detail is not None
    assert (shown.detail["data"]["missing"], shown.detail["data"]["rewards"]) == (1, 1)
    assert client.handler.encode(client.replayed()) == client.handler.encode(client.kept)


def test_refusals_leave_no_trace() -> None:
    client = Client()
    client.ask(decide(0.5, design={"deadline_s": 5.0, "missing_reward": 0.0}))
    saved = client.handler.encode(client.kept)
    client.clock.now += 100  # a decision now would give up on the first one
    bad = [
        decide(),
        decide(0.5, arms=["b", "c"]),
        decide(0.5, design={"floor": 0.5}),
        decide(0.5, arms=["a", *map(str, range(64))]),
        reward("d1", 2.0),
        reward("d77", 0.5),
        {"op": "arm", "what": "retire", "arm": "a"},
        {"op": "arm", "what": "baseline", "arm": "z"},
        {"op": "freeze", "policy": "z"},
    ]
    for ask in bad:
        (reply,) = client.ask(ask)
        assert reply.refusal is not None, ask
        assert reply.event is None
    assert client.handler.encode(client.kept) == saved


def test_what_is_right_by_itself_and_not_for_this_experiment_is_a_conflict() -> None:
    client = Client()
    client.ask(decide(arms=["a", *map(str, range(MOST_ARMS - 1))]))
    one_more: ChangeArm = {"op": "arm", "what": "open", "arm": "one-more"}
    clashes: list[tuple[Operation, str]] = [(reward("d1", 2.0), "reward"), (one_more, "arm")]
    for ask, field in clashes:
        refusal = client.refusal(ask)
        assert (refusal["code"], list(refusal["fields"])) == ("conflict", [field])
    assert "at most" not in client.refusal({"op": "arm", "what": "retire", "arm": "z"})["message"]


def test_vetoed_arms_are_never_chosen_and_others_share_the_cap() -> None:
    client = Client()
    of_e = BanditExperiment(arms=("a", "b", "c"), vetoed=("b",))
    client.settings = Configured(BanditsConfig(experiments={"e": of_e}), 0.4)
    replies = client.ask(*(decide(arms=None) for _ in range(600)))
    chosen = [reply.detail["data"]["config"] for reply in replies if reply.detail]
    assert set(chosen) == {"a", "c"}
    share = np.mean([each == "c" for each in chosen])
    assert share == pytest.approx(0.4, abs=0.08)
    assert {round(reply.columns["canary_percentage"], 6) for reply in replies} == {40.0}


def test_what_needs_no_log_is_left_to_the_fallback() -> None:
    handler = ExperimentHandler(Clock())
    assert handler.unavailable(StateRequest("e", "d", decide())) is None
    why = handler.unavailable(StateRequest("e", "d", reward("d1", 1.0)))
    assert why is not None
    assert why["code"] == "unavailable"


def test_a_decision_that_nobody_was_given_counts_for_nothing() -> None:
    client, design = Client(), {"deadline_s": 30.0, "missing_reward": 0.0}
    client.ask(decide(design=design), decide(design=design))
    event = client.handler.withdraw(client.kept, StateRequest("e", "d1", decide()))
    client.log.append(orjson.dumps(event))
    (shown,) = client.ask({"op": "show"})
    assert shown.detail is not None
    found = shown.detail["data"]
    assert (found["decisions"], found["withdrawn"], found["pending"]) == (1, 1, 1)
    assert sum(arm["decisions"] for arm in found["arms"]) == 1
    assert client.refusal(reward("d1", 0.5))["code"] == "not_found"
    client.clock.now += (
        60.0  # the other one's reward is missing, and is taken for what it stands for
    )
    client.ask(decide(design=design))
    assert client.kept.experiment is not None
    assert client.kept.experiment.tally["missing"] == 1
    assert client.handler.encode(client.replayed()) == client.handler.encode(client.kept)
    assert client.handler.withdraw(client.kept, StateRequest("e", "d9", {"op": "show"})) is None


def test_decisions_that_nobody_was_given_push_no_other_out() -> None:
    """However they come between those that were given, and whatever is replayed from where."""
    client, draw = Client(), random.Random(5)  # noqa: S311 - a test
    design = {"capacity": 20, "missing_reward": 0.0}
    given: list[str] = []
    for _ in range(60):
        first = client.count + 1
        client.ask(*(decide(design=design) for _ in range(4)))
        names = [f"d{first + at}" for at in range(4)]
        hidden = draw.sample(names, 3)
        client.ask({"op": "withdraw", "decisions": [*hidden, "nobody-knows-me"], "reusable": False})
        given += [name for name in names if name not in hidden]
    experiment = client.kept.experiment
    assert experiment is not None
    log = experiment.log
    kept = [log.ids[row].decode() for row in log.in_order() if log.status[row] == Status.PENDING]
    # The places of four that were decided at once, of which three were taken back.
    assert kept == given[-len(kept) :]
    assert len(kept) >= 20 - 3
    assert log.recorded == len(given) == 60
    assert experiment.tally["withdrawn"] == 180
    assert experiment.tally["missing"] == 60 - len(kept)
    saved = client.handler.encode(client.kept)
    for at in (0, 40, 70, len(client.log)):
        assert client.handler.encode(client.replayed(at)) == saved
