"""Makes findings: what was shown of a limit, with the row that shows it."""

import math
from collections.abc import Mapping, Sequence

from safety.proofs.findings import GRADES, Finding, Grade, Kind
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example
from safety.proofs.prover import Unknown


def finding(
    kind: Kind,
    family: Family,
    held: Held,
    message: str,
    example: Example,
    *,
    others: Sequence[Held] = (),
    grade: Grade | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        grade=grade or GRADES[kind],
        family=family.name,
        rule=held.rule.name,
        limit=held.says,
        others=tuple(each.says for each in others),
        message=message,
        example=written(example),
    )


def undecided(
    family: Family, held: Held | None, about: str, unknown: Unknown, grade: Grade = Grade.REFUSED
) -> Finding:
    """Say what was not decided: it counts as much as the worst that it may hide."""
    return Finding(
        kind=Kind.UNDECIDED,
        grade=grade,
        family=family.name,
        rule="" if held is None else held.rule.name,
        limit="" if held is None else held.says,
        message=f"It is not decided whether {about}: {unknown.why}. Write the limits more simply, "
        "or with more room between them.",
    )


def written(example: Mapping[str, float]) -> dict[str, float | str | None]:
    """Write a row so that JSON can carry it."""
    return {name: _written(value) for name, value in example.items()}


def _written(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
