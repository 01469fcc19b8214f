"""Fields that a policy names and the family does not have, or the other way round."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from pydantic import Field

from safety.columns import is_context_column
from safety.limits import Limit
from safety.policy import FamilyPolicy
from safety.proofs.findings import GRADES, Finding, Kind
from settings.frozen import Frozen


class ColumnsKnown(Frozen):
    """The columns that a family's rows have; without any, nothing is held against a policy."""

    given: tuple[str, ...] = Field((), description="What requests and features fill.")
    answered: tuple[str, ...] = Field((), description="What the model answers.")
    ordered: tuple[tuple[str, str], ...] = Field(
        (), description="Pairs of given columns of which the first is never above the second."
    )


def unknown_fields(
    name: str, policy: FamilyPolicy, known: ColumnsKnown | None
) -> Iterator[Finding]:
    """Find what nobody fills, and what is answered and not judged."""
    yield from _of_limits(name, policy)
    yield from _of_recipes(name, policy, known)
    if known is not None:
        yield from _of_the_family(name, policy, known)


def _of_limits(name: str, policy: FamilyPolicy) -> Iterator[Finding]:
    for path, limit in limits_by_path(policy):
        for column in policy.columns_of(limit):
            if column not in policy.inputs and not _is_possible(policy, column):
                yield _unknown(
                    name,
                    path,
                    f"`{path}` names `{column}`, which is neither an input nor an output of {name}"
                    f"{_nearest(column, (*policy.inputs, *policy.outputs))}",
                )


def _is_possible(policy: FamilyPolicy, column: str) -> bool:
    return column in policy.outputs or is_context_column(column, policy.outputs)


def limits_by_path(policy: FamilyPolicy) -> Iterator[tuple[str, Limit]]:
    """Give the policy's own limits, each with where it stands."""
    lists = {
        "ranges": policy.ranges,
        "relations": policy.relations,
        "widths": policy.widths,
        "changes": policy.changes,
        "forbidden": policy.forbidden,
    }
    for kind, limits in lists.items():
        for at, limit in enumerate(limits):
            yield f"{kind}[{at}]", limit


def _of_recipes(name: str, policy: FamilyPolicy, known: ColumnsKnown | None) -> Iterator[Finding]:
    there = {*policy.inputs, *policy.outputs}
    for at, recipe in enumerate(policy.fallback):
        for column in recipe.reads():
            if column in there or known is None or column in known.given:
                continue
            said = f"the recipe for `{recipe.field}` reads `{column}`, which nobody fills"
            nearest = _nearest(column, (*there, *known.given))
            yield _unknown(name, f"fallback[{at}]", said + nearest)


def _of_the_family(name: str, policy: FamilyPolicy, known: ColumnsKnown) -> Iterator[Finding]:
    for column in policy.inputs:
        if column not in known.given:
            said = f"the input `{column}` is filled by nobody, so that it is always missing"
            yield _unknown(name, "inputs", said + _nearest(column, known.given))
    for column in policy.outputs:
        if column not in known.answered:
            said = f"the output `{column}` is not one that the model answers, and so all fall back"
            yield _unknown(name, "outputs", said + _nearest(column, known.answered))
    for column in known.answered:
        if column not in policy.outputs:
            said = f"the model answers `{column}`, which the outputs leave out: add it"
            yield _unknown(name, "outputs", said)


def _unknown(family: str, path: str, said: str) -> Finding:
    return Finding(
        kind=Kind.UNKNOWN_FIELD,
        grade=GRADES[Kind.UNKNOWN_FIELD],
        family=family,
        rule=path,
        message=_sentence(said),
    )


def _nearest(name: str, among: Iterable[str]) -> str:
    """Ask whether one was meant that is spelled much like it."""
    near = get_close_matches(name, list(among), n=1)
    return f": did you mean `{near[0]}`?" if near else ": correct it, or take it out"


def _sentence(said: str) -> str:
    ended = said if said.endswith("?") else f"{said}."
    return ended[0].upper() + ended[1:]
