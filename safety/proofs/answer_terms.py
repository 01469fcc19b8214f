"""The fallback's answer as terms: its recipes in order, and the clamps that are carried out after.

The same steps as safety/fallback.py takes, on terms.
"""

from collections.abc import Collection

from safety.limits import Level, Repair
from safety.proofs.floats import (
    MISSING,
    Arithmetic,
    Number,
    at_most,
    both,
    choose,
    clip,
    number,
    round_up,
)
from safety.proofs.limits_held import Family, Held
from safety.proofs.rule_terms import Row, bound, breaks, moved
from safety.recipes import Constant, Multiple, Recipe, Threshold


def answer(
    arithmetic: Arithmetic, family: Family, given: Row, wanted: frozenset[str]
) -> dict[str, Number]:
    """Give the outputs that are wanted, from the recipes, within the caps.

    `given` has all other columns that they come of, and what the model said where a limit on an
    input depends on it.
    """
    policy = family.policy
    known = believed(arithmetic, family, given)
    for recipe in policy.recipes():
        if recipe.field in wanted:
            cooked = _cook(arithmetic, recipe, known)
            known[recipe.field] = round_up(cooked) if recipe.field in policy.whole else cooked
    for held in clamps_of(family, wanted):
        _clamp(arithmetic, family, held, known)
    return {field: known[field] for field in policy.outputs if field in wanted}


def clamps_of(family: Family, fields: Collection[str]) -> list[Held]:
    """Give the limits that clamp one of these fields, in the order in which they do."""
    return [
        each
        for each in family.limits
        if each.limit is not None
        and each.rule.repair is Repair.CLAMP
        and each.rule.level is not Level.SAFE  # a limit on trial moves nothing
        and moved(family.policy, each.limit) in fields
    ]


def comes_of(family: Family, fields: Collection[str]) -> frozenset[str]:
    """Name the columns that the fallback's answer to these fields comes of, themselves too."""
    recipes = {recipe.field: recipe for recipe in family.policy.recipes()}
    doubts = family.disbelieving()
    left, found = list(fields), set(fields)
    while left:
        name = left.pop()
        reads = set(recipes[name].reads()) if name in recipes else set[str]()
        reads = reads.union(*(each.columns for each in clamps_of(family, {name})))
        reads = reads.union(*(each.columns for each in doubts if each.rule.field == name))
        left += reads - found
        found |= reads
    return frozenset(found)


def believed(arithmetic: Arithmetic, family: Family, given: Row) -> dict[str, Number]:
    """Take an input outside its own range for one that is missing; what the model said is left."""
    known = {name: each for name, each in given.items() if name not in family.policy.outputs}
    for held in family.disbelieving():
        field = held.rule.field
        if field in known:
            broken = breaks(arithmetic, family.policy, held, given)
            known[field] = choose(broken, MISSING, known[field])
    return known


def _clamp(arithmetic: Arithmetic, family: Family, held: Held, known: dict[str, Number]) -> None:
    policy, limit = family.policy, held.limit
    if limit is None:
        return
    row = {name: known.get(name, MISSING) for name in held.columns}
    where = bound(arithmetic, policy, limit, row)
    move = both(breaks(arithmetic, policy, held, row), where.finite)
    field = moved(policy, limit)
    known[field] = choose(move, Number(where.real, whole=where.whole), known[field])


def _cook(arithmetic: Arithmetic, recipe: Recipe, known: Row) -> Number:
    match recipe:
        case Constant():
            return number(recipe.value)
        case Multiple():
            source = known.get(recipe.of, MISSING)
            product = clip(arithmetic.times(recipe.times, source), recipe.low, recipe.high)
            cooked = choose(source.finite, product, number(recipe.otherwise))
            return Number(cooked.real, whole=cooked.whole)
        case Threshold():
            of, over = known.get(recipe.of, MISSING), known.get(recipe.over, MISSING)
            return choose(at_most(of, over), number(recipe.within), number(recipe.beyond))
