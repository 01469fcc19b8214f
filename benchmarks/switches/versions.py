"""Versions that can be told from one another by any row that was answered by them."""

import math
from typing import Any

from config_store.document import ConfigDocument
from config_store.shipped import PATIENT
from safety.limits import Level, Range, Repair

Row = dict[str, Any]

# Of each family that is asked, a field that every answer breaks the mark of.
MARKED = {"tail": "p50_pred", "capacity": "rate"}
RATE = 1_000.0
SHARE = 0.01


def marked(document: ConfigDocument, mark: int) -> ConfigDocument:
    """Make a version whose policy, features and experiments carry this mark.

    Requests have time enough: how long an answer may take is not what is asked.
    """
    defaults = document.features.defaults | {"baseline_rate": RATE + mark}
    families = dict(document.safety.families)
    for family, field in MARKED.items():
        policy = families[family]
        families[family] = policy.model_copy(
            update={"ranges": (*policy.ranges, _bound(field, mark))}
        )
    return document.with_deadlines(**PATIENT.model_dump()).model_copy(
        update={
            "features": document.features.model_copy(update={"defaults": defaults}),
            "safety": document.safety.model_copy(update={"families": families}),
            "bandits": document.bandits.model_copy(update={"canary_cap": _cap(mark)}),
        }
    )


def of_others(family: str, answer: Row, mark: int) -> list[str]:
    """Name what of an answer, as the client has it, is not of the version with this mark."""
    if family == "bandit":
        share = answer["data"]["canary_percentage"]
        return [] if math.isclose(share, 100 * _cap(mark), rel_tol=1e-6) else ["experiments"]
    if (field := MARKED.get(family)) is None:
        return []
    wanted = _bound(field, mark).high
    found = [each["bound"] for each in answer["safety"]["violations"] if each["message"] == MESSAGE]
    return [] if found and all(each == wanted for each in found) else ["policy"]


def mixed(row: Row, document: ConfigDocument, mark: int, number: int) -> list[str]:
    """Name what of a row, as the ledger has it, is not of the version that it names."""
    family = row["family"]
    found = [] if row["config_hash"] == document.config_hash else ["hash"]
    found += of_others(family, row["answer"], mark)
    if family == "tail" and row["features"]["baseline_rate"] != RATE + mark:
        found.append("features")
    stages = row["stages"]
    found += [name for name, each in stages.items() if each and each["version"] != number]
    policy = document.safety.families[family].content_hash()
    return found if stages["safety"]["policy"] == policy else [*found, "policy's hash"]


MESSAGE = "No value is as small: every answer is warned of, and names its version so."


def _bound(field: str, mark: int) -> Range:
    return Range(
        field=field,
        high=mark * 1e-9,
        level=Level.WARNING,
        repair=Repair.CLAMP,
        message=MESSAGE,
    )


def _cap(mark: int) -> float:
    return SHARE + mark * 1e-5
