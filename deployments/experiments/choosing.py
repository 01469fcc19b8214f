"""What a request for an arm must fit before anything is decided, and which arms it leaves open."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from config_store.document import BanditExperiment
from deployments.batch import Refusal
from deployments.experiments.beginning import (
    arms_of,
    baseline_of,
    design_of,
    differing,
    invalid,
)
from deployments.experiments.state import Event, start_step
from models.optimization.bandits.design import Design
from models.optimization.bandits.experiment import Experiment
from models.protocols import BoolArray

MOST_ARMS = 64


def steps(
    experiment: Experiment | None, ask: dict[str, Any], configured: BanditExperiment
) -> Event | Refusal:
    """Say what has to happen before the request can be decided: mostly nothing."""
    if experiment is None:
        return _begin(ask, configured)
    design = ask.get("design")
    if design and (setting := differing(design, experiment.design)):
        message = f"The experiment began with another {setting}: delete it to begin anew"
        return {"code": "conflict", "message": message, "fields": {f"design.{setting}": message}}
    if why := _context_unfit(ask["context"], experiment.design):
        return why
    arms = arms_of(ask, configured)
    if why := _baseline_unfit(experiment.baseline, arms or experiment.arms, configured):
        return why
    added = [arm for arm in arms if arm not in experiment.arms]
    if len(experiment.arms) + len(added) > MOST_ARMS:
        return invalid("arms", f"An experiment has at most {MOST_ARMS} arms, retired ones included")
    return {"add": added} if added else {}


def is_refusal(found: Any) -> bool:
    return "code" in found


def passed_over(
    experiment: Experiment, asks: Sequence[dict[str, Any]], configured: BanditExperiment
) -> BoolArray | None:
    """Mark the arms that each request leaves out, and those that an operator vetoes."""
    named = [arms_of(ask, configured) for ask in asks]
    if not configured.vetoed and not any(named):
        return None
    return np.array(
        [
            [arm in configured.vetoed or bool(names and arm not in names) for arm in experiment.arms]
            for names in named
        ]
    )


def _begin(ask: dict[str, Any], configured: BanditExperiment) -> Event | Refusal:
    arms = arms_of(ask, configured)
    if not arms:
        return invalid(
            "arms", "The experiment has no arms yet: give some, or have an operator configure them"
        )
    design = design_of(ask)
    if not isinstance(design, Design):
        return design
    baseline = baseline_of(ask, configured, arms)
    if why := _context_unfit(ask["context"], design):
        return why
    if why := _baseline_unfit(baseline, arms, configured):
        return why
    return {"start": start_step(design, arms, baseline)}


def _context_unfit(context: dict[str, float], design: Design) -> Refusal | None:
    names = {feature.name for feature in design.features}
    if context.keys() == names:
        return None
    missing, odd = names - context.keys(), context.keys() - names
    fields = {f"context.{name}": "The experiment needs this number" for name in sorted(missing)}
    fields |= {f"context.{name}": "The experiment began without it" for name in sorted(odd)}
    message = f"The experiment's context is {sorted(names) or 'empty'}"
    return {"code": "invalid", "message": message, "fields": fields}


def _baseline_unfit(
    baseline: str, arms: Sequence[str], configured: BanditExperiment
) -> Refusal | None:
    if baseline in configured.vetoed:
        message = f"The baseline {baseline!r} is vetoed: an operator must name another"
        return {"code": "conflict", "message": message}
    if baseline not in arms:
        return invalid("arms", f"The baseline {baseline!r} must be among the arms")
    return None
