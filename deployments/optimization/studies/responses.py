"""What is said of a study: a suggestion, its best trials, all of it."""

import math
from typing import Any

from deployments.optimization.studies.cheap_suggestions import Suggested
from deployments.optimization.studies.events import Event
from deployments.optimization.studies.state import Running
from deployments.runtime.state.handler import Reply
from models.optimization.bayes.converged import converged
from models.optimization.bayes.snapshot import design_document
from models.optimization.bayes.study import Study, Trial
from safety.open_ends import OPEN_INTERVAL

SHOWN_TRIALS = 200


def reply_to_ask(running: Running, trial: Trial, suggestion: Suggested) -> Reply[Event]:
    gained = _finite(suggestion.expected_improvement)
    data = {
        "trial_id": trial.number,
        "parameters": trial.parameters,
        "expected_improvement": gained,
        "acquisition": _finite(suggestion.acquisition),
        "converged": converged(running.study),
        **progress(running),
    }
    made = {"source": suggestion.source, "outcomes_since": running.settled - suggestion.basis}
    # Nothing is claimed of how a trial will come out.
    columns = {"expected_improvement": max(gained or 0.0, 0.0), **OPEN_INTERVAL}
    return Reply(columns, {"data": data, "meta": {"suggestion": made}})


def reply_to_tell(running: Running, trial: Trial) -> Reply[Event]:
    data = {"trial_id": trial.number, "state": trial.state, **progress(running)}
    return Reply({"expected_improvement": 0.0, **OPEN_INTERVAL}, {"data": data})


def progress(running: Running) -> dict[str, Any]:
    """Say how many trials there are, and which is the best."""
    study = running.study
    best = running.front.best()
    several = len(study.design.goals) > 1
    return {
        "trials": len(study.trials),
        "pending": len(study.trials) - running.settled - len(running.withdrawn),
        "candidates_left": None if running.left is None else running.left + len(running.withdrawn),
        "best": None if best is None else describe_trial(study, best),
        "front": [describe_trial(study, each) for each in running.front.trials()]
        if several
        else None,
    }


def describe_trial(study: Study, trial: Trial) -> dict[str, Any]:
    values = list(trial.values)
    return {
        "trial_id": trial.number,
        "parameters": trial.parameters,
        "state": trial.state,
        "value": values[0] if len(values) == 1 else values or None,
        "constraints": dict(zip(study.design.constraints, trial.constraints, strict=False)),
    }


def describe(running: Running, name: str) -> dict[str, Any]:
    """Show the design, the progress and the latest trials."""
    study = running.study
    return {
        "study": name,
        "design": design_document(study.design),
        "converged": converged(study),
        **progress(running),
        "latest": [describe_trial(study, trial) for trial in study.trials[-SHOWN_TRIALS:]],
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
