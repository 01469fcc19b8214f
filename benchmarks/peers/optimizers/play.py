"""Lets one peer minimise one landscape: prints every value it saw, a JSON list a line.

python -m benchmarks.peers.optimizers.play PEER LANDSCAPE SEED BUDGET SHARE

It stops early once a value is within SHARE of the optimum: the calls up to there are what counts.
"""

# ruff: noqa: PLC0415 - only the peer that plays is imported: each takes seconds

import contextlib
import json
import logging
import sys
import warnings
from collections.abc import Callable

from benchmarks.quality.landscapes import LANDSCAPES, Landscape

Evaluate = Callable[[list[float]], float]


class ReachedError(Exception):
    """The optimum is near enough."""


def optuna_by(sampler_name: str) -> Callable[[Landscape, Evaluate, int, int], None]:
    def play(landscape: Landscape, evaluate: Evaluate, seed: int, budget: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = getattr(optuna.samplers, sampler_name)(seed=seed)
        study = optuna.create_study(sampler=sampler)
        ends = enumerate(landscape.domain)

        def objective(trial: "optuna.Trial") -> float:
            return evaluate([trial.suggest_float(f"x{i}", a, b) for i, (a, b) in named])

        named = list(ends)
        study.optimize(objective, n_trials=budget)

    return play


def ax(landscape: Landscape, evaluate: Evaluate, seed: int, budget: int) -> None:
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    logging.disable(logging.CRITICAL)
    client = Client(random_seed=seed)
    names = [f"x{i}" for i in range(len(landscape.domain))]
    client.configure_experiment(
        parameters=[
            RangeParameterConfig(name=name, bounds=(float(a), float(b)), parameter_type="float")
            for name, (a, b) in zip(names, landscape.domain, strict=True)
        ]
    )
    client.configure_optimization(objective="-loss")
    client.configure_generation_strategy(initialization_random_seed=seed)
    for _ in range(budget):
        for trial, parameters in client.get_next_trials(max_trials=1).items():
            loss = evaluate([float(parameters[name]) for name in names])
            client.complete_trial(trial_index=trial, raw_data={"loss": (loss, 0.0)})


def skopt(landscape: Landscape, evaluate: Evaluate, seed: int, budget: int) -> None:
    from skopt import gp_minimize

    ends = [(float(a), float(b)) for a, b in landscape.domain]
    gp_minimize(evaluate, ends, n_calls=budget, random_state=seed)


PEERS = {
    "optuna-tpe": optuna_by("TPESampler"),
    "optuna-gp": optuna_by("GPSampler"),
    "ax": ax,
    "skopt": skopt,
}


def main(peer: str, name: str, seed: int, budget: int, share: float) -> None:
    warnings.simplefilter("ignore")
    landscape, seen = LANDSCAPES[name], []
    wanted = landscape.lowest + share * abs(landscape.lowest)

    def evaluate(x: list[float]) -> float:
        seen.append(float(landscape.value(x)))
        if seen[-1] <= wanted:
            raise ReachedError
        return seen[-1]

    with contextlib.suppress(ReachedError):
        PEERS[peer](landscape, evaluate, seed, budget)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
