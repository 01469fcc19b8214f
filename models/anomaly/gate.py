"""Says whether a deployment changed the regime, from the posterior of where the regime began.

Change-point detection gives the probability that the present regime began at each observation,
under a hazard that treats all of them alike. A deployment is not like other moments, so what is
taken from the posterior is the Bayes factor, a beginning within [deployed, deployed + window]
against none there, and the prior of the deployment is put in the place of the hazard's. A change
that came just before speaks against the deployment, as it should. When a regime since the window
has replaced the one in question, the best segmentation says whether there was one. While a stream's
scale is being learnt and its values do not part, nothing tells a change from noise: undecided.
"""

import math
from dataclasses import dataclass

import numpy as np

from models.anomaly.bocpd import RegimeBank
from models.anomaly.inputs import require_within
from models.anomaly.verdict import Verdict, verdict_of
from models.errors import ModelError

_LARGEST_ODDS = 700.0  # its exponential is finite


@dataclass(frozen=True)
class Gate:
    window: float
    """How long after the deployment its effect may begin, in the unit of `when`."""
    prior: float = 0.5
    """How many deployments change the regime; at even odds the answer is the evidence alone."""

    def __post_init__(self) -> None:
        if not (self.window >= 0 and math.isfinite(self.window)):
            raise ModelError(f"window is {self.window}: give a duration of 0 or more")
        require_within("prior", self.prior, 1e-6, 1 - 1e-6)


@dataclass(frozen=True)
class GateAnswer:
    verdict: Verdict
    probability: float
    """That the deployment changed the regime."""
    before: float
    """That the regime had changed in as long a time before the deployment."""
    observations: int
    """Those since the deployment that can tell, as far as they were kept apart."""


def gate(
    bank: RegimeBank,
    slot: int,
    deployed: float,
    settings: Gate,
    *,
    expected_run: float | None = None,
) -> GateAnswer:
    """Judge a deployment by the observations so far; `expected_run` as the stream was advanced."""
    lengths, probability = bank.run_lengths(slot)
    began = bank.began(slot)
    end = deployed + settings.window
    inside = (began >= deployed) & (began <= end) & bank.changed(slot)
    since = int(lengths[began >= deployed].max(initial=0))
    run = expected_run or bank.settings.expected_run
    if since == 0 or not bank.judges(slot, run):
        return GateAnswer("undecided", settings.prior, 0.0, since)
    later = float(probability[began > end].sum())
    there = any(deployed <= part.began <= end and part.start for part in bank.segments(slot))
    within = float(probability[inside].sum()) + (later if there else 0.0)
    wide = max(1, since - int(lengths[began > end].max(initial=0)))
    hazard = 1 / run
    chance = settings.prior / (1 - settings.prior)
    sure = _posterior(within, 1 - within, -math.expm1(wide * math.log1p(-hazard)), chance)
    before = bank.began_between(slot, deployed - settings.window, np.nextafter(deployed, -np.inf))
    return GateAnswer(verdict_of(sure, before), sure, before, since)


def _posterior(within: float, outside: float, by_hazard: float, odds: float) -> float:
    """Put the prior odds in the place of those that the hazard gave."""
    if within <= 0:
        return 0.0
    if outside <= 0:
        return 1.0
    log_odds = math.log(within / outside) - math.log(by_hazard / (1 - by_hazard)) + math.log(odds)
    return 1 / (1 + math.exp(min(-log_odds, _LARGEST_ODDS)))
