"""An experiment: its arms, what has been learnt of them, and the decisions on record.

`decide` reads it and changes nothing; `record` and `learn` (feedback.py) change it in place. Write
down what they are given first, and the same calls in the same order rebuild it to the bit.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from models.errors import ArmError
from models.optimization.bandits.bernoulli import BernoulliPosterior
from models.optimization.bandits.decision_log import DecisionLog
from models.optimization.bandits.design import Design
from models.optimization.bandits.linear import LinearPosterior
from models.protocols import BoolArray

Posterior = LinearPosterior | BernoulliPosterior
TALLY = ("rewarded", "duplicate", "late", "unknown", "missing")


@dataclass(slots=True)
class Experiment:
    design: Design
    arms: list[str]
    """An arm keeps its place for good, retired or not."""
    retired: set[str]
    baseline: str
    posterior: Posterior
    log: DecisionLog
    balance: float = 0.0
    """Of the budget, in whole ranges of the reward."""
    tally: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TALLY, 0))

    @classmethod
    def start(cls, design: Design, arms: list[str], baseline: str) -> Self:
        if not arms or len(set(arms)) < len(arms) or not all(arms):
            raise ArmError(f"arms {arms}: give at least one arm, each with a different name")
        _known(arms, baseline)
        log = DecisionLog.empty(design.capacity, design.width_of_context, len(arms))
        return cls(design, list(arms), set(), baseline, fresh_posterior(design, len(arms)), log)

    @property
    def baseline_arm(self) -> int:
        return self.arms.index(self.baseline)

    def active(self) -> BoolArray:
        return np.array([arm not in self.retired for arm in self.arms])

    def arm(self, name: str) -> int:
        return _known(self.arms, name)

    def add_arm(self, name: str) -> None:
        """Add an arm that knows nothing, or bring a retired one back with what it knew."""
        if name in self.retired:
            self.retired.remove(name)
            return
        if not name or name in self.arms:
            raise ArmError(f"arm {name!r} already exists, or has no name")
        self.arms.append(name)
        self.posterior.add_arm()
        self.log.add_arm()

    def retire_arm(self, name: str) -> None:
        """Decide for it no more; rewards still to come are counted, and it may come back."""
        _known(self.arms, name)
        if name == self.baseline:
            raise ArmError(f"arm {name!r} is the baseline; make another the baseline first")
        self.retired.add(name)

    def set_baseline(self, name: str) -> None:
        """Measure against another arm from now on, with nothing saved up."""
        _known(self.arms, name)
        if name in self.retired:
            raise ArmError(f"arm {name!r} is retired; add it again first")
        self.baseline, self.balance = name, 0.0


def fresh_posterior(design: Design, arms: int, many: int = 1) -> Posterior:
    """Start one of the design's family with no data."""
    prior, discount = design.prior_weight, design.discount
    if design.family == "bernoulli":
        return BernoulliPosterior.fresh(arms, prior=prior, discount=discount, many=many)
    width = design.width_of_context
    return LinearPosterior.fresh(arms, width, prior=prior, discount=discount, many=many)


def _known(arms: list[str], name: str) -> int:
    if name not in arms:
        raise ArmError(f"there is no arm {name!r}; the arms are: {', '.join(arms)}")
    return arms.index(name)
