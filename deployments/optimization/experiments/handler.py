"""Experiments by name: what is decided and learnt in each, and how its log brings it back.

Requests of one experiment that come together are decided in one call, unless one of them changes
the experiment first, or asks for the other policy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from config_store.document import BanditExperiment
from deployments.api.bandits import LEVEL, MOST_ARMS
from deployments.optimization.experiments import responses
from deployments.optimization.experiments.beginning import conflict, invalid
from deployments.optimization.experiments.choosing import UnfitError, excluded_arms, steps
from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.events import DELETED, ArmChanged, Event
from deployments.optimization.experiments.feedback import take_reward, withdraw_decisions
from deployments.optimization.experiments.operations import (
    ChangeArm,
    Decide,
    Look,
    Operation,
    Policy,
    Reward,
)
from deployments.optimization.experiments.state import (
    KeptExperiment,
    apply,
    decide_step,
    size_of,
)
from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply, StateRequest
from deployments.runtime.state.operations import Withdraw
from models.errors import ArmError
from models.optimization.bandits.decide import decide
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import expire, record
from models.optimization.bandits.keyed import keys_of
from models.optimization.bandits.snapshot import decode, encode

Rows = Sequence[tuple[KeptExperiment, StateRequest[Operation]]]
# Names of columns, a tuple of them for every reply of this kind.
COLUMNS = ("expected_reward", "lower", "upper", "propensity", "canary_percentage")
POLICIES: tuple[Policy, ...] = get_args(Policy)


@dataclass(slots=True)
class _Run:
    """Requests of one experiment that are decided together, and what each brings with it."""

    places: list[int] = field(default_factory=list)
    requests: list[StateRequest[Operation]] = field(default_factory=list)
    asks: list[Decide] = field(default_factory=list)
    before: list[Event] = field(default_factory=list)


class ExperimentHandler:
    kind = "experiment"
    columns = COLUMNS

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def fresh(self, key: str) -> KeptExperiment:
        return KeptExperiment(key)

    def encode(self, state: KeptExperiment) -> bytes:
        return b"" if state.experiment is None else encode(state.experiment)

    def decode(self, key: str, saved: bytes) -> KeptExperiment:
        return KeptExperiment(key, decode(saved) if saved else None)

    def release(self, state: KeptExperiment) -> None:
        state.experiment = None

    def size(self, state: KeptExperiment) -> int:
        return size_of(state)

    def give_back(self) -> None:
        """Hold nothing beside the states themselves."""

    def replay(self, tails: Sequence[tuple[KeptExperiment, list[Event]]]) -> None:
        for kept, events in tails:
            for event in events:
                apply(kept, event)

    def answer(self, rows: Rows) -> list[Reply[Event]]:
        replies: dict[int, Reply[Event]] = {}
        by_key: dict[str, list[int]] = {}
        for place, (kept, _) in enumerate(rows):
            by_key.setdefault(kept.name, []).append(place)
        now = self._clock()
        for places in by_key.values():
            self._follow(rows, places, now, replies)
        return [replies[place] for place in range(len(rows))]

    def removal(self, request: StateRequest[Operation]) -> Reply[Event] | None:
        return _deleted(request.key) if request.ask["op"] == "delete" else None

    def repeat_reply(self, state: KeptExperiment, request: StateRequest[Operation]) -> Reply[Event]:
        """Answer from the record: nothing is decided or counted a second time."""
        experiment, ask = state.experiment, request.ask
        if ask["op"] == "withdraw":
            return Reply()
        if ask["op"] != "decide" and ask["op"] != "reward":
            return _look(state, ask)
        wanted = ask["decision"] if ask["op"] == "reward" else request.id
        row = None if experiment is None else experiment.log.row_of(wanted)
        if experiment is None or row is None:
            return Reply(
                refusal={
                    "code": "conflict",
                    "message": "The request was already accepted; its decision is no longer kept",
                }
            )
        if ask["op"] == "reward":
            return responses.reply_to_reward(experiment, state.name, row)
        return responses.repeat_decision(experiment, row)

    def withdraw(self, state: KeptExperiment, request: StateRequest[Operation]) -> Event | None:
        """Take back a decision: its exposure is none, and its reward will never come."""
        return withdraw_decisions(state, [request.id]) if request.ask["op"] == "decide" else None

    def unavailable(self, request: StateRequest[Operation]) -> Refusal | None:
        """Let the fallback choose an arm, and refuse all else."""
        if request.ask["op"] == "decide":
            return None
        message = (
            "The experiments' log in Redis cannot be reached, and nothing was accepted: send "
            "it again"
        )
        return {"code": "unavailable", "message": message}

    def _follow(
        self, rows: Rows, places: Sequence[int], now: float, replies: dict[int, Reply[Event]]
    ) -> None:
        """Answer one experiment's rows in their order."""
        run, kept = _Run(), rows[places[0]][0]
        for place in places:
            request = rows[place][1]
            ask = request.ask
            if ask["op"] != "decide":
                self._decide(kept, run, now, replies)
                run = _Run()
                replies[place] = self._other(kept, ask, now)
                continue
            try:
                before = steps(kept.experiment, ask, _configured(kept, request))
            except UnfitError as unfit:
                replies[place] = Reply(refusal=unfit.refusal)
                continue
            if before or not _joins(kept, run, ask):
                self._decide(kept, run, now, replies)
                run = _Run()
            if before:
                apply(kept, before)
            run.places.append(place)
            run.requests.append(request)
            run.asks.append(ask)
            run.before.append(before)
        self._decide(kept, run, now, replies)

    def _decide(
        self, kept: KeptExperiment, run: _Run, now: float, replies: dict[int, Reply[Event]]
    ) -> None:
        experiment = kept.experiment
        if not run.requests or experiment is None:
            return
        expire(experiment, now)
        # They came in one batch, and have one version.
        settings: Configured = run.requests[0].settings
        asks, ids = run.asks, [request.id for request in run.requests]
        decisions = decide(
            experiment,
            {
                each.name: np.array([ask["context"][each.name] for ask in asks], np.float64)
                for each in experiment.design.features
            },
            keys_of(ids, kept.name),
            policy=asks[0]["policy"],
            cap=settings.cap,
            vetoed=excluded_arms(experiment, asks, settings.experiment(kept.name)),
            level=LEVEL,
        )
        record(experiment, ids, decisions, now)
        for row, place in enumerate(run.places):
            reply = responses.reply_to_decide(experiment, decisions, row)
            reply.event = run.before[row] | {"decide": decide_step(decisions, row, ids[row], now)}
            replies[place] = reply

    def _other(
        self, kept: KeptExperiment, ask: Reward | ChangeArm | Withdraw | Look, now: float
    ) -> Reply[Event]:
        if ask["op"] == "reward":
            return take_reward(kept, ask, now)
        if ask["op"] == "arm":
            return _change_arm(kept, ask)
        if ask["op"] == "withdraw":
            return Reply(event=withdraw_decisions(kept, ask["decisions"]))
        return _look(kept, ask)


def _look(kept: KeptExperiment, ask: ChangeArm | Look) -> Reply[Event]:
    """Answer what changes nothing; a change of an arm that was made before is shown."""
    experiment = kept.experiment
    if experiment is None:
        return Reply(refusal=_no_experiment(kept.name))
    if ask["op"] == "delete":
        return _deleted(kept.name)
    if ask["op"] == "freeze":
        return _frozen(experiment, ask["policy"])
    return Reply(detail={"data": responses.describe(experiment, kept.name)})


def _deleted(name: str) -> Reply[Event]:
    return Reply(detail={"data": {"deleted": name}}, event=DELETED, deletes=True)


def _configured(kept: KeptExperiment, request: StateRequest[Operation]) -> BanditExperiment:
    settings: Configured = request.settings
    return settings.experiment(kept.name)


def _joins(kept: KeptExperiment, run: _Run, ask: Decide) -> bool:
    """Tell whether a request may be decided in one call with those before it."""
    if not run.asks or kept.experiment is None:
        return True
    if run.asks[-1]["policy"] != ask["policy"]:
        return False
    # A decision that is pushed out teaches what its missing reward is taken for, and so the next
    # request must see it gone.
    log, missing = kept.experiment.log, kept.experiment.design.missing_reward
    return missing is None or log.recorded + len(run.asks) < log.capacity


def _change_arm(kept: KeptExperiment, ask: ChangeArm) -> Reply[Event]:
    """Retire an arm, bring one back, or make one the baseline."""
    if kept.experiment is None:
        return Reply(refusal=_no_experiment(kept.name))
    is_new = ask["what"] == "open" and ask["arm"] not in kept.experiment.arms
    if is_new and len(kept.experiment.arms) >= MOST_ARMS:
        return Reply(refusal=conflict("arm", f"An experiment has at most {MOST_ARMS} arms"))
    event: Event = {"arm": list(ArmChanged(ask["what"], ask["arm"]))}
    try:
        apply(kept, event)
    except ArmError as error:
        return Reply(refusal={"code": "conflict", "message": str(error)})
    return Reply(detail={"data": responses.describe(kept.experiment, kept.name)}, event=event)


def _frozen(experiment: Experiment, policy: str) -> Reply[Event]:
    """Give the experiment as it is now, for what takes too long to be done here."""
    if policy not in (*POLICIES, *experiment.arms):
        known = ", ".join((*POLICIES, *experiment.arms))
        return Reply(refusal=invalid("policy", f"There is no policy {policy!r}; there are {known}"))
    design = experiment.design
    return Reply(
        {"lower": design.reward_low, "upper": design.reward_high},
        {"data": {"frozen": encode(experiment)}},
    )


def _no_experiment(name: str) -> Refusal:
    message = f"There is no experiment {name}: its first request creates it"
    return {"code": "not_found", "message": message}
