"""An experiment in memory, and what its events do to it: the one way by which it changes."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from deployments.optimization.experiments.events import (
    ArmChanged,
    Decided,
    Event,
    Rewarded,
    Started,
)
from deployments.optimization.experiments.operations import ArmChange
from models.optimization.bandits.decide import Decisions
from models.optimization.bandits.design import Design
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import expire, learn, record, withdraw
from models.optimization.bandits.snapshot import design_from

EXPERIMENT_BYTES, ID_BYTES = 5_000, 200


@dataclass(slots=True)
class KeptExperiment:
    """One key's experiment; none while nobody has begun it."""

    name: str
    experiment: Experiment | None = None


def start_step(design: Design, arms: Sequence[str], baseline: str) -> list[Any]:
    return list(Started(asdict(design), list(arms), baseline))


def decide_step(decisions: Decisions, row: int, decision_id: str, now: float) -> list[Any]:
    """Give what is kept of one decision; JSON carries a float to the bit."""
    decided = Decided(
        decision=decision_id,
        at=now,
        context=decisions.contexts[row].tolist(),
        arm=int(decisions.arms[row]),
        probabilities=decisions.probabilities[row].tolist(),
        on_baseline=bool(decisions.on_baseline[row]),
        price=float(decisions.prices[row]),
        credit=float(decisions.credits[row]),
    )
    return list(decided)


def apply(kept: KeptExperiment, event: Event) -> None:
    """Take an event's steps."""
    if "delete" in event:
        kept.experiment = None
        return
    if "start" in event:
        begun = Started(*event["start"])
        kept.experiment = Experiment.start(design_from(begun.design), begun.arms, begun.baseline)
    experiment = kept.experiment
    if experiment is None:
        raise ValueError(
            f"the log of {kept.name!r} lacks its first event; it has {list(event)} instead"
        )
    for name in event.get("add", ()):
        experiment.add_arm(name)
    if "decide" in event:
        decided = Decided(*event["decide"])
        expire(experiment, decided.at)
        record(experiment, [decided.decision], _decisions(decided), decided.at)
    if "reward" in event:
        rewarded = Rewarded(*event["reward"])
        learn(experiment, [rewarded.decision], np.array([rewarded.reward]), rewarded.at)
    if "withdraw" in event:
        withdraw(experiment, event["withdraw"])
    if "arm" in event:
        changed = ArmChanged(*event["arm"])
        _ARM_STEPS[changed.what](experiment, changed.arm)


def size_of(kept: KeptExperiment) -> int:
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


_ARM_STEPS: dict[ArmChange, Callable[[Experiment, str], None]] = {
    "retire": Experiment.retire_arm,
    "open": Experiment.add_arm,
    "baseline": Experiment.set_baseline,
}


def _decisions(decided: Decided) -> Decisions:
    """Make a decision of what was kept of it; what only an answer shows is not in it."""
    unknown = np.full(1, np.nan)
    return Decisions(
        contexts=np.array([decided.context]),
        arms=np.array([decided.arm], np.int64),
        probabilities=np.array([decided.probabilities]),
        on_baseline=np.array([decided.on_baseline]),
        prices=np.array([decided.price]),
        credits=np.array([decided.credit]),
        propensity=unknown,
        expected=unknown,
        lower=unknown,
        upper=unknown,
        canary_percentage=unknown,
        exploring=np.zeros(1, np.bool_),
        policy_error=unknown,
    )
