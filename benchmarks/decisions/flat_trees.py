"""The tail model's trees walked by XGBoost and by a compiled loop: time by rows, and what differs.

Also what importing each costs a replica, in a process of its own.
"""

import subprocess
import sys

import numpy as np

from benchmarks.decisions.figures import is_quick, median_us, show
from models.tail.booster import fit_booster
from models.tail.flat_trees import FlatTrees
from models.tail.inputs import INPUTS

ROWS = (1, 8, 64, 512)
SEED = 0
GAPS = 0.05  # share of the inputs
_IMPORT = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"


def import_seconds(module: str) -> float:
    """Time an import in a process of its own, as a replica without scikit-learn pays it."""
    code = "import sys; sys.modules['sklearn'] = None; import numpy; " + _IMPORT.format(module)
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(found.stdout)


def run(*, quick: bool) -> None:
    rng = np.random.default_rng(SEED)
    inputs = rng.random((40_000, len(INPUTS)))
    targets = 2 * inputs[:, 0] + inputs[:, 1] * rng.gumbel(size=len(inputs))
    booster = fit_booster(inputs, targets, seed=SEED, threads=1, grown=lambda _: None)
    booster.set_param({"nthread": 1})
    trees = FlatTrees.of(bytes(booster.save_raw("ubj")), len(INPUTS))
    probe = rng.normal(0.5, 1, (200_000, len(INPUTS))).astype(np.float32)
    probe[rng.random(probe.shape) < GAPS] = np.nan
    same = booster.inplace_predict(probe).tobytes() == trees.predict(probe).tobytes()
    calls = 100 if quick else 1_000
    rows = []
    for count in ROWS:
        part = np.nan_to_num(probe[:count], nan=0.5)
        rows.append([
            f"{count} rows",
            *(
                f"{median_us(work, calls):.1f}"
                for work in (
                    lambda part=part: booster.inplace_predict(part),
                    lambda part=part: trees.predict(part),
                )
            ),
        ])  # fmt: skip
    show("microseconds a call", ("", "inplace_predict", "flat trees"), rows)
    answers = "the same bits" if same else "DIFFERENT"
    show(
        f"200,000 rows, some with gaps: {answers}",
        ("import", "CPU s"),
        [
            [module, f"{import_seconds(module):.1f}"]
            for module in ("xgboost", "models.tail.flat_trees")
        ],
    )


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
