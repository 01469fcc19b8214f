"""What a version says of experiments: those that an operator names, and how much may be tried."""

from dataclasses import dataclass, field
from typing import Self

from config_store.document import BanditExperiment, BanditsConfig, ConfigDocument
from safety.bandits import CANARY_PERCENT, largest_canary

UNCONFIGURED = BanditExperiment()
# Of the cap, for the rounding of sums of probabilities.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Configured:
    """One version's settings of all experiments."""

    bandits: BanditsConfig = field(default_factory=BanditsConfig)
    # Of the traffic, the most that arms other than the baseline may get.
    cap: float = CANARY_PERCENT / 100

    @classmethod
    def of(cls, document: ConfigDocument) -> Self:
        allowed = min(document.bandits.canary_cap, largest_canary(document.safety))
        return cls(document.bandits, allowed * (1 - _ROUNDING))

    def experiment(self, name: str) -> BanditExperiment:
        return self.bandits.experiments.get(name, UNCONFIGURED)
