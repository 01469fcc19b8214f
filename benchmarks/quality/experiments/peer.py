"""Regret in simulated worlds, beside Vowpal Wabbit's.

It plays in an environment of its own under .bench/, by its defaults, in the same worlds with the
same contexts and fate. What it lost is kept there, so that only its first run takes minutes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.quality.experiments.agents import Ours
from benchmarks.quality.experiments.regret import ALLOWED, POLICIES, regret_row
from benchmarks.quality.experiments.worlds import SIZES, WORLDS, regret_of, world_of
from benchmarks.quality.played import ROOT, played
from benchmarks.quality.row import Row
from benchmarks.speed.environments import peer_python
from models.optimization.bandits.design import PolicyName
from models.protocols import FloatArray

SETTINGS = ("epsilon", "squarecb", "regcbopt", "cover")
Kind = tuple[str, int, int]
KINDS: list[Kind] = [(name, *size) for name in WORLDS for size in SIZES]
"""Of a world: its name, its arms and the width of its context."""


def peer_rows(many: int = 50, steps: int = 2_000) -> Iterator[Row]:
    """Compare with each of its settings, and in each kind of world with the best of them there."""
    python = peer_python("bandits", ROOT / "benchmarks" / "peers", ROOT / ".bench")
    theirs = {
        each: [_played(each, kind, many, steps, python) for kind in KINDS] for each in SETTINGS
    }
    for policy in POLICIES:
        ours = [_ours(policy, kind, many, steps) for kind in KINDS]
        for setting in SETTINGS:
            yield _over_all(policy, setting, ours, theirs[setting])
        for at, (name, arms, width) in enumerate(KINDS):
            best = min(SETTINGS, key=lambda each: float(theirs[each][at].mean()))
            what, whose = f"{name} {arms}x{width} {policy}", f"Vowpal Wabbit {best}"
            yield regret_row(what, whose, ours[at], theirs[best][at])


def _over_all(
    policy: PolicyName, setting: str, ours: list[FloatArray], theirs: list[FloatArray]
) -> Row:
    """Give the geometric mean of the ratios in every kind of world."""
    ratios = [one.mean() / other.mean() for one, other in zip(ours, theirs, strict=True)]
    ratio = float(np.exp(np.log(ratios).mean()))
    what = f"regret ratio, all {len(KINDS)} kinds, {policy}"
    return Row(what, ratio, ALLOWED, f"Vowpal Wabbit {setting}", ratio <= ALLOWED)


def _ours(policy: PolicyName, kind: Kind, many: int, steps: int) -> FloatArray:
    name, arms, width = kind
    means = world_of(name, many, arms, width)
    return regret_of(Ours(many, arms, width, policy), means, many, width, steps)


def _played(setting: str, kind: Kind, many: int, steps: int, python: Path) -> FloatArray:
    asked = [setting, *(str(each) for each in (*kind, many, steps))]
    return np.array(played(python, "benchmarks.peers.bandits.play", asked))
