"""How an experiment begins: by its first request, from what that states and what is configured."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from config_store.document import BanditExperiment
from deployments.optimization.experiments.operations import Decide
from deployments.runtime.batch import Refusal
from models.optimization.bandits.design import Design
from models.optimization.bandits.snapshot import design_from


def invalid(field: str, message: str) -> Refusal:
    return {"code": "invalid", "message": message, "fields": {field: message}}


def conflict(field: str, message: str) -> Refusal:
    """Refuse what is right by itself, and does not go with what the experiment is by now."""
    return {"code": "conflict", "message": message, "fields": {field: message}}


def arms_of(ask: Decide, configured: BanditExperiment) -> Sequence[str]:
    """Name the arms that a request chooses among; none where neither it nor an operator did."""
    arms: Sequence[str] = ask.get("arms") or configured.arms
    return arms


def design_of(ask: Decide) -> Design:
    """Make the design: linear in the context's numbers, gaussian where there are none.

    DesignError says which setting is wrong.
    """
    stated = dict(ask.get("design") or {})
    stated.pop("baseline", None)
    if "features" not in stated:
        stated["features"] = [{"name": name} for name in ask["context"]]
    if "family" not in stated:
        stated["family"] = "linear" if stated["features"] else "gaussian"
    return design_from(stated)


def baseline_of(ask: Decide, configured: BanditExperiment, arms: Sequence[str]) -> str:
    """Name the incumbent: the first arm unless somebody said which."""
    stated: str | None = (ask.get("design") or {}).get("baseline")
    return stated or configured.baseline or arms[0]


def changed_setting(stated: dict[str, Any], design: Design) -> str | None:
    """Name the first setting whose value in a request differs from the experiment's."""
    begun = asdict(design)
    for name, value in stated.items():
        if name == "baseline":
            continue  # an operator may have moved it since
        if name == "features":
            same = _ranges(begun[name]) == _ranges(value)
        elif name == "budget" and value is not None:
            same = begun[name] is not None and begun[name] | value == begun[name]
        else:
            same = begun[name] == value
        if not same:
            return name
    return None


def _ranges(features: Sequence[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Read features by name; in which order they were given says nothing."""
    return {each["name"]: (each.get("low", 0.0), each.get("high", 1.0)) for each in features}
