"""Reads what somebody wrote as a policy, and says of each part that is none what is wrong with it.

A policy refuses some faults as it is read, such as a fallback outside a range. Those are let pass
here, so that the proofs can show them with an example.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import ValidationError, model_validator

from safety.policy import FamilyPolicy, SafetyPolicy
from safety.proofs.findings import GRADES, Finding, Kind


class Draft(FamilyPolicy):
    """A family's policy whose fields and fallback are yet to be checked."""

    @model_validator(mode="after")
    def _columns_are_known(self) -> Self:
        return self

    @model_validator(mode="after")
    def _fallback_keeps_the_ranges(self) -> Self:
        return self


def policy_in(written: object) -> object:
    """Give the policy of a whole configuration; what is none is taken for a policy itself."""
    if isinstance(written, Mapping) and isinstance(written.get("safety"), Mapping):
        return written["safety"]
    return written


def families_of(written: object) -> Mapping[str, object] | Finding:
    """Give the families of a policy, or of a whole configuration that has one."""
    policy = policy_in(written)
    families = policy.get("families") if isinstance(policy, Mapping) else None
    if isinstance(families, Mapping):
        return families
    said = "This is no policy: it needs `families`, an object with a policy for each family."
    return _unreadable("", "families", said)


def draft_of(name: str, written: object) -> Draft | list[Finding]:
    """Read one family's policy; what is wrong with it where it cannot be read."""
    try:
        return Draft.model_validate(written)
    except ValidationError as error:
        return [_refused(name, written, each) for each in error.errors(include_url=False)]


def is_in_force(name: str, written: object, active: SafetyPolicy | None) -> bool:
    """Tell whether the active policy judges a family just so."""
    known = None if active is None else active.families.get(name)
    draft = draft_of(name, written)
    if known is None or isinstance(draft, list):
        return False
    return draft.model_dump(mode="json") == known.model_dump(mode="json")


def refusals_of(name: str, written: object) -> Iterator[Finding]:
    """Give what the policy itself refuses that is left once the proofs have passed it."""
    try:
        FamilyPolicy.model_validate(written)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            yield _refused(name, written, each)


def refusals_outside_families(written: object) -> Iterator[Finding]:
    """Give what is refused of a policy, its families left out."""
    policy = policy_in(written)
    without = policy | {"families": {}} if isinstance(policy, dict) else policy
    try:
        SafetyPolicy.model_validate(without)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            yield _refused("", without, each)


def _refused(family: str, written: object, error: Mapping[str, Any]) -> Finding:
    place = tuple(part for part in error["loc"] if not _is_tag(part))
    part = _part(written, place)
    message = str(error["msg"]).removeprefix("Value error, ")
    if isinstance(part, Mapping) and _is_empty(part):
        said = f"No value of `{part.get('field')}` is both at least {part['low']} and at most "
        said += f"{part['high']}: correct the bounds."
        return _finding(Kind.CONTRADICTION, family, _path(place), said, part)
    said = f"`{_path(place)}`: {message}" if place else message
    return _unreadable(family, _path(place), f"{said[0].upper()}{said[1:]}.")


def _is_tag(part: object) -> bool:
    """Tell whether a part of the place is no key, but the kind that a condition was taken for."""
    return part in ("comparison", "constant", "multiple", "threshold")


def _part(written: object, place: tuple[int | str, ...]) -> object:
    """Give what stands at a place of what was written; None where nothing does."""
    for key in place:
        written = _inside(written, key)
    return written


def _inside(written: object, key: int | str) -> object:
    if isinstance(written, Mapping):
        return written.get(key)
    if isinstance(key, int) and isinstance(written, list | tuple) and key < len(written):
        return written[key]
    return None


def _is_empty(limit: Mapping[Any, Any]) -> bool:
    low, high = limit.get("low"), limit.get("high")
    return isinstance(low, int | float) and isinstance(high, int | float) and low > high


def _path(place: tuple[int | str, ...]) -> str:
    keys = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    return keys.removeprefix(".")


def _unreadable(family: str, path: str, message: str) -> Finding:
    return _finding(Kind.UNREADABLE, family, path, message, {})


def _finding(kind: Kind, family: str, path: str, message: str, part: Mapping[Any, Any]) -> Finding:
    example = {str(part["field"]): part["low"]} if "field" in part else {}
    return Finding(
        kind=kind, grade=GRADES[kind], family=family, rule=path, message=message, example=example
    )
