"""What a request for an arm must fit before anything is decided, and which arms it leaves open."""

from collections.abc import Sequence

import numpy as np

from config_store.document import BanditExperiment
from deployments.api.bandits import MOST_ARMS
from deployments.optimization.experiments.beginning import (
    arms_of,
    baseline_of,
    changed_setting,
    design_of,
    invalid,
)
from deployments.optimization.experiments.events import Event
from deployments.optimization.experiments.operations import Decide
from deployments.optimization.experiments.state import start_step
from deployments.runtime.batch import Refusal
from models.errors import DesignError
from models.optimization.bandits.design import Design
from models.optimization.bandits.experiment import Experiment
from models.protocols import BoolArray


class UnfitError(Exception):
    """A request does not fit its experiment; the refusal says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal["message"])
        self.refusal = refusal


def steps(experiment: Experiment | None, ask: Decide, configured: BanditExperiment) -> Event:
    """Say what has to happen before the request can be decided: mostly nothing."""
    if experiment is None:
        return _begin(ask, configured)
    design = ask.get("design")
    if design and (setting := changed_setting(design, experiment.design)):
        message = (
            f"The experiment was created with another value of {setting}, which cannot "
            "change: delete the experiment to create it again"
        )
        fields = {f"design.{setting}": message}
        raise UnfitError({"code": "conflict", "message": message, "fields": fields})
    _check_context(ask["context"], experiment.design)
    arms = arms_of(ask, configured)
    _check_baseline(experiment.baseline, arms or experiment.arms, configured)
    added = [arm for arm in arms if arm not in experiment.arms]
    if len(experiment.arms) + len(added) > MOST_ARMS:
        why = f"An experiment has at most {MOST_ARMS} arms, retired ones included"
        raise UnfitError(invalid("arms", why))
    return {"add": added} if added else {}


def excluded_arms(
    experiment: Experiment, asks: Sequence[Decide], configured: BanditExperiment
) -> BoolArray | None:
    """Mark the arms that each request leaves out, and those that an operator vetoes."""
    named = [arms_of(ask, configured) for ask in asks]
    if not configured.vetoed and not any(named):
        return None
    return np.array(
        [
            [
                arm in configured.vetoed or bool(names and arm not in names)
                for arm in experiment.arms
            ]
            for names in named
        ]
    )


def _begin(ask: Decide, configured: BanditExperiment) -> Event:
    arms = arms_of(ask, configured)
    if not arms:
        why = "The experiment has no arms yet: name some, or have an operator configure them"
        raise UnfitError(invalid("arms", why))
    try:
        design = design_of(ask)
    except DesignError as error:
        raise UnfitError(invalid("design", str(error))) from error
    baseline = baseline_of(ask, configured, arms)
    _check_context(ask["context"], design)
    _check_baseline(baseline, arms, configured)
    return {"start": start_step(design, arms, baseline)}


def _check_context(context: dict[str, float], design: Design) -> None:
    names = {feature.name for feature in design.features}
    if context.keys() == names:
        return
    missing, odd = names - context.keys(), context.keys() - names
    fields = {
        f"context.{name}": "The experiment's context needs this number" for name in sorted(missing)
    }
    fields |= {
        f"context.{name}": "The experiment's context has no such number" for name in sorted(odd)
    }
    message = (
        f"The experiment's context has the numbers {', '.join(sorted(names)) or 'none'}: send "
        "exactly these"
    )
    raise UnfitError({"code": "invalid", "message": message, "fields": fields})


def _check_baseline(baseline: str, arms: Sequence[str], configured: BanditExperiment) -> None:
    if baseline in configured.vetoed:
        message = f"The baseline {baseline!r} is vetoed: an operator must name another"
        raise UnfitError({"code": "conflict", "message": message})
    if baseline not in arms:
        raise UnfitError(invalid("arms", f"The baseline {baseline!r} must be among the arms"))
