"""Bandits and off-policy evaluation beside published figures, textbooks and Vowpal Wabbit."""

from pathlib import Path

from benchmarks.quality.experiments.accuracy import accuracy_rows
from benchmarks.quality.experiments.budget import budget_rows
from benchmarks.quality.experiments.open_bandit import open_bandit
from benchmarks.quality.experiments.peer import peer_rows
from benchmarks.quality.experiments.regret import regret
from benchmarks.quality.experiments.sequences import coverage_rows
from benchmarks.quality.row import Row


def run(data_dir: Path) -> list[Row]:
    """Measure everything; some minutes on one core, and a quarter of an hour the first time."""
    return [
        *open_bandit(data_dir / "bandits"),
        *regret(),
        *peer_rows(),
        *budget_rows(),
        *coverage_rows(),
        *accuracy_rows(),
    ]
