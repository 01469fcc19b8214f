"""One decision as the ledger recorded it, read so that it can be played once more."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from deployments.api.endpoint import FamilyBody, InferenceEndpoint
from deployments.api.shipped import FAMILIES
from deployments.safety.judge import AWAY

SHADOW = "a shadow's candidate gave it, and no client got it"


class LeftOutError(Exception):
    """A decision cannot be played once more; the message is the reason, the same for its like."""


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """The model that a decision names."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision: what was asked, what was known, what was answered, and what was withheld."""

    id: str
    family: InferenceEndpoint
    entity: str
    at: float
    version: int
    config_hash: str
    body: FamilyBody
    features: Mapping[str, float]
    assumed: tuple[str, ...]
    data: Mapping[str, Any]
    interval: Mapping[str, Any] | None
    safety: Mapping[str, Any]
    rung: str
    model: AnsweredBy | None
    # What outcomes had told of the entity's intervals, by which the model's was widened.
    online: Mapping[str, Any] | None
    # What the model said of each column that safety replaced; none where that was not recorded.
    withheld: Mapping[str, float] | None
    # By field the id of the override that a person put into it; none where that was not recorded.
    overrides: Mapping[str, str] | None
    # Why emergency mode put the fallback in its place; empty where it did not.
    emergency: str

    @property
    def fell_back(self) -> bool:
        return bool(self.safety["fallback"])

    @property
    def is_unanswered(self) -> bool:
        """Whether no model answered, so that only the fallback could."""
        return any(each["rule"] == AWAY["rule"] for each in self.safety["violations"])

    @property
    def is_unchecked(self) -> bool:
        """Whether an admin had the limits not asked."""
        return self.safety.get("checks") == "off"


def read(row: bytes | str) -> Recorded:
    """Read a row of the ledger; LeftOutError says why it cannot be played once more."""
    try:
        found = orjson.loads(row)
        if "shadow_of" in found:
            raise LeftOutError(SHADOW)
        family = FAMILIES.get(found["family"])
        if family is None:
            raise LeftOutError(f"this release serves no family {found['family']!r}")
        return _read(found, family)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = "another release wrote it in a way that this one cannot read"
        raise LeftOutError(why) from error


def family_in(row: bytes | str) -> str:
    """Name the family of a row, of one that cannot be read any further too."""
    try:
        return str(orjson.loads(row)["family"])
    except (KeyError, TypeError, ValueError):
        return ""


def _read(found: Mapping[str, Any], family: InferenceEndpoint) -> Recorded:
    answer, meta = found["answer"], found["answer"]["meta"]
    safety = answer["safety"]
    return Recorded(
        id=found["decision_id"],
        family=family,
        entity=found["entity"],
        at=datetime.fromisoformat(found["timestamp"]).timestamp(),
        version=found["config_version"],
        config_hash=found["config_hash"],
        body=_body(found["request"], family),
        features=_numbers(found["features"]),
        assumed=tuple(meta["features"]["assumed"]),
        data=answer["data"],
        interval=answer["interval"],
        safety=safety,
        rung=meta["rung"],
        model=_model(found["stages"]["model"]),
        online=(answer["interval"] or {}).get("online")
        or (found.get("withheld_interval") or {}).get("online"),
        withheld=_numbers(found["withheld"]) if "withheld" in found else None,
        overrides=found.get("overrides", None if safety["override"] else {}),
        emergency=meta["fallback_reason"] if "emergency_mode" in found["decision_reasons"] else "",
    )


def _body(request: Any, family: InferenceEndpoint) -> FamilyBody:
    try:
        return family.body.model_validate_json(orjson.dumps(request))
    except ValidationError as error:
        raise LeftOutError("its request does not fit the contract of this release") from error


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    """Give numbers as columns have them: JSON writes what is none as null."""
    return {name: math.nan if value is None else value for name, value in values.items()}


def _model(stage: Mapping[str, Any] | None) -> AnsweredBy | None:
    if stage is None:
        return None
    return AnsweredBy(stage["model"], stage["model_version"], stage["digest"] or "")
