"""The process beside a replica: reads tasks from its input, writes what they find to its output.

It is told its niceness as it begins.
"""

import base64
import os
import sys
from collections.abc import Callable
from typing import Any

import orjson


def evaluate(frozen: str, policy: str) -> Any:
    """Judge a policy; see deployments/optimization/experiments/evaluation.py."""
    from deployments.optimization.experiments.evaluation import evaluated  # noqa: PLC0415 - only who needs it

    return evaluated(base64.b64decode(frozen), policy)


def suggest(**ask: Any) -> Any:
    """Suggest a study's next trial; see deployments/optimization/studies/suggesting.py."""
    from deployments.optimization.studies.suggesting import suggested  # noqa: PLC0415 - only who needs it

    return suggested(**ask)


def fit(**ask: Any) -> Any:
    """Fit tails; see deployments/tail/extremes/fitting.py."""
    from deployments.tail.extremes.fitting import fit_sent  # noqa: PLC0415 - only who needs it

    return fit_sent(**ask)


def forecast(**ask: Any) -> Any:
    """Forecast a series; see deployments/forecasting/series/forecasting.py."""
    from deployments.forecasting.series.forecasting import forecast_sent  # noqa: PLC0415 - only who needs it

    return forecast_sent(**ask)


def check_policy(**ask: Any) -> Any:
    """Check a safety policy; see safety/proofs/sent.py."""
    from safety.proofs.sent import checked  # noqa: PLC0415 - only who needs it

    return checked(**ask)


def replay(**ask: Any) -> Any:
    """Play recorded decisions under another version; see deployments/impact/sent.py."""
    from deployments.impact.sent import played  # noqa: PLC0415 - only who needs it

    return played(**ask)


TASKS: dict[str, Callable[..., Any]] = {
    "evaluate": evaluate,
    "suggest": suggest,
    "fit": fit,
    "forecast": forecast,
    "check_policy": check_policy,
    "replay": replay,
}


def answer(line: bytes) -> list[Any]:
    """Do one task; one that fails is told of, and the next one is taken."""
    number, task, ask = orjson.loads(line)
    try:
        return [number, TASKS[task](**ask), None]
    except Exception as error:  # noqa: BLE001 - whatever it was, who asked must hear of it
        return [number, None, f"{type(error).__name__}: {error}"]


def main() -> None:
    os.nice(int(sys.argv[1]))
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        answers.write(orjson.dumps(answer(line)) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
