"""Calls until within 1 % of the optimum: ours beside Optuna, Ax and scikit-optimize.

The peers run in an environment of their own under .bench/, each with its defaults, the same seeds
and the same budget; a run that never comes near counts one call more than the budget. What a peer
did is kept there too, so that only its first run takes its half an hour.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.quality.landscapes import LANDSCAPES, calls_to_reach
from benchmarks.quality.optimization import BUDGET, SEEDS, minimise
from benchmarks.quality.played import ROOT, played
from benchmarks.quality.row import Row
from benchmarks.speed.environments import peer_python

PEERS = ("optuna-tpe", "optuna-gp", "ax", "skopt")
NAMES = ("branin", "hartmann6")
SHARE = 0.01
TORCH = "torch==2.13.0"


def run(_: Path) -> list[Row]:
    """Play ours and every peer; takes half an hour on one core the first time."""
    python = _python()
    return [row for name in NAMES for row in _beside(name, python)]


def _beside(name: str, python: Path) -> Iterator[Row]:
    lowest = LANDSCAPES[name].lowest
    mine = [minimise(LANDSCAPES[name], seed, BUDGET, SHARE) for seed in SEEDS]
    ours = _mean_calls(mine, lowest)
    for peer in PEERS:
        theirs = _mean_calls([_played(peer, name, seed, python) for seed in SEEDS], lowest)
        yield Row(f"{name}, calls to 1 %", ours, theirs, peer, ours < theirs)


def _mean_calls(runs: list[list[float]], lowest: float) -> float:
    """Count a run that never came near as one call over the budget."""
    reached = [calls_to_reach(values, lowest, SHARE) for values in runs]
    return float(np.mean([min(calls, BUDGET + 1) for calls in reached]))


def _played(peer: str, name: str, seed: int, python: Path) -> list[float]:
    asked = [peer, name, str(seed), str(BUDGET), str(SHARE)]
    values: list[float] = played(python, "benchmarks.peers.optimizers.play", asked)
    return values


def _python() -> Path:
    python = peer_python("optimizers", ROOT / "benchmarks" / "peers", ROOT / ".bench")
    # Apart from the lock, as scripts/install does: its builds for CPU and GPU share one version.
    subprocess.run([python, "-m", "pip", "install", "-qq", "--no-deps", TORCH], check=True)
    return python
