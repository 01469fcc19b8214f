"""Regret in simulated worlds, beside the textbook's LinUCB and Thompson sampling."""

from collections.abc import Iterator

import numpy as np

from benchmarks.quality.experiments.agents import Ours, Textbook
from benchmarks.quality.experiments.worlds import SIZES, WORLDS, regret_of, world_of
from benchmarks.quality.row import Row
from models.optimization.bandits.design import PolicyName
from models.protocols import FloatArray

ALLOWED = 1.05  # times the reference's regret
POLICIES: tuple[PolicyName, ...] = ("ucb", "thompson")
REFERENCES: tuple[tuple[PolicyName, float], ...] = (
    ("ucb", 1.0),
    ("ucb", 0.5),
    ("thompson", 0.5),
    ("thompson", 0.25),
)
"""Scales by the book (alpha 1; the posterior of a noise of 1/2), then half that: less cautious."""


def regret(many: int = 200, steps: int = 2_000) -> Iterator[Row]:
    """Compare mean regrets; the column beside ours is the most that is allowed."""
    for name in WORLDS:
        for arms, width in SIZES:
            size = many, arms, width
            means = world_of(name, *size)
            ours = {
                policy: regret_of(Ours(*size, policy), means, many, width, steps)
                for policy in POLICIES
            }
            for policy, scale in REFERENCES:
                theirs = regret_of(Textbook(*size, policy, scale), means, many, width, steps)
                what = f"{name} {arms}x{width} {policy} {scale}"
                yield regret_row(what, "textbook", ours[policy], theirs)


def regret_row(what: str, whose: str, ours: FloatArray, theirs: FloatArray) -> Row:
    """Give the ratio of the means, and its standard error over the paired worlds."""
    ratio = float(ours.mean() / theirs.mean())
    error = float(np.std(ours - ratio * theirs) / theirs.mean() / np.sqrt(len(ours)))
    source = f"{whose}, se {error:.3f}"
    return Row(f"regret ratio, {what}", ratio, ALLOWED, source, ratio <= ALLOWED)
