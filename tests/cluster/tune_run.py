"""A sweep as an ML engineer starts it: `python -m tests.cluster.tune_run FOLDER [restore]`.

Prints what came of it as a line of JSON. With `restore` an earlier sweep in the folder goes on.
"""

import json
import sys
from pathlib import Path
from typing import Any

import ray
from ray import tune

from tuning.searcher import BayesSearch

SAMPLES, AT_ONCE, SHALLOW = 8, 2, 4
SPACE = {
    "rate": tune.loguniform(1e-4, 1e-1),
    "tree": {"depth": tune.randint(2, 9), "kind": tune.choice(["a", "b"])},
}


def trial(config: dict[str, Any]) -> None:
    """Score 0 at rate .01, depth 5 and kind a; shallow trees do not work at all."""
    depth = config["tree"]["depth"]
    if depth < SHALLOW:
        raise ValueError(f"a depth of {depth} does not work")
    far = abs(depth - 5) + (config["tree"]["kind"] == "b")
    tune.report({"loss": 10 * abs(config["rate"] - 0.01) + far})


def main(folder: Path, *, restore: bool) -> None:
    ray.init(num_cpus=AT_ONCE, include_dashboard=False, log_to_driver=False)
    if restore:
        tuner = tune.Tuner.restore(str(folder / "sweep"), trial)
    else:
        tuner = tune.Tuner(
            trial,
            param_space=SPACE,
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                search_alg=BayesSearch(seed=1, max_concurrent=AT_ONCE),
                num_samples=SAMPLES,
            ),
            run_config=tune.RunConfig(name="sweep", storage_path=str(folder), verbose=0),
        )
    results = tuner.fit()
    losses = [each.metrics["loss"] for each in results if each.error is None and each.metrics]
    told = {"trials": len(results), "failed": results.num_errors, "losses": losses}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), restore="restore" in sys.argv[2:])
