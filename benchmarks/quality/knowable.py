"""How much of the crossed barrel can be known: `python -m benchmarks.quality.knowable --data DIR`.

The bench asks for the best 5 % of 600 materials within 50 trials. Here every material is predicted
by a forest that was shown the outcomes of all others (ten folds), and the 50 predicted best are
taken; a search, which begins with nothing, is not to be expected to find more. And who is among the
best is partly luck: each outcome is the mean of three or so measurements, which are drawn anew here
from the material's mean and the usual error of such a mean.

    of the best 5 %                                               mean   least   most
    among the 50 that a forest with all others' outcomes takes   52.3 %  46.7 %  60.0 %
    among the best again, were all measured again                77.4 %  63.3 %  90.0 %
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.decisions.figures import show
from benchmarks.quality.optimization import MATERIAL, POOL_BUDGET, TOP, materials
from models.optimization.bayes.forest import Forest
from models.protocols import FloatArray, IntArray

FOLDS, REPEATS, DRAWS = 10, 10, 200


def best(outcomes: FloatArray, count: int) -> set[int]:
    return set(np.argsort(-outcomes)[:count].tolist())


def predicted(rows: FloatArray, outcomes: FloatArray, seed: int) -> FloatArray:
    """Predict each material from the outcomes of those outside its fold."""
    generator = np.random.default_rng(seed)
    fold: IntArray = generator.permutation(len(rows)) % FOLDS
    found = np.empty(len(rows))
    for number in range(FOLDS):
        inside = fold == number
        forest = Forest.grow(rows[~inside], outcomes[~inside], generator)
        found[inside] = forest.at(rows[inside])[0]
    return found


def measured_again(means: FloatArray, error: float, seed: int) -> FloatArray:
    return means + np.random.default_rng(seed).normal(0, error, len(means))


def shares(table: pd.DataFrame) -> tuple[list[float], list[float], float, float]:
    """Give the predicted shares, the shares that are best again, the error and the spread."""
    groups = table.groupby(MATERIAL)["toughness"]
    means = groups.mean()
    outcomes = means.to_numpy()
    error = float(np.sqrt((groups.var() / groups.count()).mean()))
    rows = np.array(means.index.tolist(), np.float64)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    top = best(outcomes, round(TOP * len(outcomes)))
    standard = (outcomes - outcomes.mean()) / outcomes.std()
    told = [
        len(top & best(predicted(rows, standard, seed), POOL_BUDGET)) / len(top)
        for seed in range(REPEATS)
    ]
    again = [
        len(top & best(measured_again(outcomes, error, seed), len(top))) / len(top)
        for seed in range(DRAWS)
    ]
    return told, again, error, float(outcomes.std())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    told, again, error, spread = shares(materials(parser.parse_args().data / "optimization"))
    show(
        f"Crossed barrel: error of a mean {error:.2f}, spread of the means {spread:.2f}",
        ("share of the best 5 %", "mean", "least", "most"),
        [
            [name, *(f"{figure(values):.1%}" for figure in (np.mean, min, max))]
            for name, values in (
                (f"among the {POOL_BUDGET} that a forest with all others' outcomes takes", told),
                ("among the best again, were all measured again", again),
            )
        ],
    )


if __name__ == "__main__":
    main()
