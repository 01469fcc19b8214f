"""Versions whose policy, model and features can be told by any row that was answered by them."""

from typing import Any

import pytest

from config_store.document import BanditsConfig, ConfigDocument
from models.registry import CHAMPION
from safety.limits import Level, Range, Repair
from tests.deployments.house import document_with

CHALLENGER = "challenger"
NUMBERS = {CHAMPION: "1.0.0", CHALLENGER: "1.1.0"}
Row = dict[str, Any]


def at_step(document: ConfigDocument, step: int) -> ConfigDocument:
    """Make a version that policy, model and features can be told by."""
    features = document.features.model_copy(
        update={"defaults": document.features.defaults | {"baseline_rate": 1_000.0 + step}}
    )
    bound = Range(
        field="p50_pred",
        high=step * 1e-9,
        level=Level.WARNING,
        repair=Repair.CLAMP,
        message="So quick is nobody: every answer is warned of.",
    )
    tail = document.safety.families["tail"]
    tail = tail.model_copy(update={"ranges": (*tail.ranges, bound)})
    safety = {"families": document.safety.families | {"tail": tail}}
    served = document_with(document, alias=(CHAMPION, CHALLENGER)[step % 2])
    return served.model_copy(
        update={
            "features": features,
            "safety": document.safety.model_copy(update=safety),
            "bandits": BanditsConfig(canary_cap=0.01 + step * 1e-5),
        }
    )


def mixed(row: Row, document: ConfigDocument) -> list[str]:
    """Name what of a row is not of this version."""
    found: list[str] = []
    if row["family"] == "bandit":
        share = row["answer"]["data"]["canary_percentage"]
        cap = document.bandits.canary_cap
        return found if share == pytest.approx(100 * cap, rel=1e-6) else [*found, "experiments"]
    if row["features"]["baseline_rate"] != document.features.defaults["baseline_rate"]:
        found.append("features")
    if row["model_version"] != NUMBERS[document.serving.tail.alias]:
        found.append("model")
    bounds = [
        violation["bound"]
        for violation in row["answer"]["safety"]["violations"]
        if violation["field"] == "p50_pred"
    ]
    highs = [
        limit.high
        for limit in document.safety.families["tail"].ranges
        if limit.level is Level.WARNING and limit.field == "p50_pred"
    ]
    return found if bounds == highs else [*found, "policy"]
