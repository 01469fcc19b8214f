"""An experiment in memory, and the steps of its events: the one way by which it changes.

An event is a JSON object of steps, taken in this order: `start` (design, arms, baseline), `add`
(names of arms), `decide` (what was decided, to the last bit of its floats), `reward`, `arm` (one
retired, brought back, or made the baseline), `withdraw` (decisions that nobody was given),
`delete`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from models.optimization.bandits.decide import Decisions
from models.optimization.bandits.design import Design
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import expire, learn, record, withdraw
from models.optimization.bandits.snapshot import design_from

Event = dict[str, Any]
EXPERIMENT_BYTES, ID_BYTES = 5_000, 200
DELETED: Event = {"delete": True}


@dataclass(slots=True)
class Kept:
    """One key's experiment; none while nobody has begun it."""

    name: str
    experiment: Experiment | None = None


def start_step(design: Design, arms: Sequence[str], baseline: str) -> list[Any]:
    return [asdict(design), list(arms), baseline]


def decide_step(decisions: Decisions, row: int, decision_id: str, now: float) -> list[Any]:
    """Tell of one decision what the state depends on; JSON carries a float to the bit."""
    return [
        decision_id,
        now,
        decisions.contexts[row].tolist(),
        int(decisions.arms[row]),
        decisions.probabilities[row].tolist(),
        bool(decisions.on_baseline[row]),
        float(decisions.prices[row]),
        float(decisions.credits[row]),
    ]


def apply(kept: Kept, event: Event) -> None:
    """Take an event's steps."""
    if "delete" in event:
        kept.experiment = None
        return
    if "start" in event:
        design, arms, baseline = event["start"]
        kept.experiment = Experiment.start(design_from(design), arms, baseline)
    experiment = kept.experiment
    if experiment is None:
        raise ValueError(f"the log of {kept.name!r} goes on with no beginning: {list(event)}")
    for name in event.get("add", ()):
        experiment.add_arm(name)
    if "decide" in event:
        decision_id, now, *recorded = event["decide"]
        expire(experiment, now)
        record(experiment, [decision_id], _recorded(*recorded), now)
    if "reward" in event:
        decision_id, reward, now = event["reward"]
        learn(experiment, [decision_id], np.array([reward]), now)
    if "withdraw" in event:
        withdraw(experiment, event["withdraw"])
    if "arm" in event:
        _ARM_STEPS[event["arm"][0]](experiment, event["arm"][1])


def size_of(kept: Kept) -> int:
    """Estimate the bytes of an experiment in memory: its arrays, and its decisions' ids by row."""
    if (experiment := kept.experiment) is None:
        return 0
    arrays = sum(
        value.nbytes
        for part in (experiment.log, experiment.posterior)
        for value in (getattr(part, each.name) for each in fields(part))
        if isinstance(value, np.ndarray)
    )
    return EXPERIMENT_BYTES + arrays + ID_BYTES * experiment.log.kept


_ARM_STEPS = {
    "retire": Experiment.retire_arm,
    "open": Experiment.add_arm,
    "baseline": Experiment.set_baseline,
}


def _recorded(
    context: list[float],
    arm: int,
    probabilities: list[float],
    on_baseline: bool,
    price: float,
    credit: float,
) -> Decisions:
    """Make a decision of what its event tells; what only an answer shows is not in it."""
    unknown = np.full(1, np.nan)
    return Decisions(
        contexts=np.array([context]),
        arms=np.array([arm], np.int64),
        probabilities=np.array([probabilities]),
        on_baseline=np.array([on_baseline]),
        prices=np.array([price]),
        credits=np.array([credit]),
        propensity=unknown,
        expected=unknown,
        lower=unknown,
        upper=unknown,
        canary_percentage=unknown,
        exploring=np.zeros(1, np.bool_),
        policy_error=unknown,
    )
