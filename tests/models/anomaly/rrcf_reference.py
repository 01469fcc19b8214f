"""The scores that `rrcf` gives to three streams, recorded: it takes most of a minute to give them.

`python -m tests.models.anomaly.rrcf_reference` records them anew.
"""

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # rrcf imports pkg_resources, which is on its way out
    rrcf: Any = importlib.import_module("rrcf")  # it has no types

TREES, SIZE, SEEDS = 40, 64, (1, 2, 3)
RECORD = Path(__file__).with_name("rrcf_scores.npz")


def reference(points: Any, seed: int, trees: int = TREES, size: int = SIZE) -> Any:
    """Run the loop of rrcf's own documentation."""
    forest = [rrcf.RCTree(random_state=seed * 1_000 + i) for i in range(trees)]
    scores = np.zeros(len(points))
    for i, point in enumerate(points):
        for tree in forest:
            if len(tree.leaves) >= size:
                tree.forget_point(i - size)
            tree.insert_point(point, index=i)
            scores[i] += tree.codisp(i) / trees
    return scores


def streams() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    count = 600
    spikes = np.zeros(count)
    spikes[rng.choice(np.arange(100, count), 9, replace=False)] = rng.choice([-9, 9], 9)
    wave = 5 * np.sin(np.arange(count) / 15) + 0.3 * rng.normal(size=count)
    heavy = rng.standard_t(2, size=(count, 3)) * [1.0, 2.0, 0.5]
    return {
        "noise with spikes": (rng.normal(size=count) + spikes)[:, None],
        "season with spikes": (wave + spikes)[:, None],
        "heavy tails, three dimensions": heavy,
    }


def recorded(name: str) -> Any:
    """Read the scores of one stream, (SEEDS, points)."""
    with np.load(RECORD) as record:
        return record[name]


def main() -> None:
    found = {
        name: np.array([reference(points, seed) for seed in SEEDS])
        for name, points in streams().items()
    }
    np.savez_compressed(RECORD, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
