"""The safety policy as data: what an answer of each family may say, and what happens if it does."""

from enum import StrEnum
from hashlib import sha256
from itertools import chain
from typing import Literal, Self

import orjson
from pydantic import Field, model_validator

from safety.caps import WORKERS, WORKERS_NOW, Caps
from safety.emergency import EmergencyRules
from safety.errors import UnknownFamilyError
from safety.limits import Breach, Level, Range, Relation, Repair, WidthLimit
from safety.recipes import Recipe
from safety.rungs import Rungs
from settings.frozen import Frozen

HASH_DIGITS = 16


class Response(StrEnum):
    """What happens to an answer at a level."""

    KEEP = "keep"  # it leaves as the model gave it, with its violations beside it
    SUBSTITUTE = "substitute"  # the repair of each broken limit is carried out


class Responses(Frozen):
    warning: Response = Response.KEEP
    unsafe: Response = Response.SUBSTITUTE
    # Nobody may configure a platform that hands out NaN.
    critical: Literal[Response.SUBSTITUTE] = Response.SUBSTITUTE

    def substitutes(self, level: Level) -> bool:
        by_level: dict[Level, Response] = {
            Level.SAFE: Response.KEEP,
            Level.WARNING: self.warning,
            Level.UNSAFE: self.unsafe,
            Level.CRITICAL: self.critical,
        }
        return by_level[level] is Response.SUBSTITUTE


class FamilyPolicy(Frozen):
    """All that safety knows about one family: its columns, their limits, and its fallback."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    codes: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # outputs that name a choice
    whole: tuple[str, ...] = ()  # outputs that count things: repaired to whole numbers
    ranges: tuple[Range, ...] = ()
    relations: tuple[Relation, ...] = ()
    widths: tuple[WidthLimit, ...] = ()
    missing_input: Breach = Level.WARNING  # an input that nobody could fill
    caps: Caps = Caps()
    responses: Responses = Responses()
    fallback: tuple[Recipe, ...]  # a list, not a mapping: a recipe may read those before it
    rungs: Rungs = Rungs()

    def content_hash(self) -> str:
        """Name these rules by what they say; two versions may have them in common."""
        content = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return sha256(content).hexdigest()[:HASH_DIGITS]

    def all_ranges(self) -> tuple[Range, ...]:
        coded = tuple(_code_range(field, names) for field, names in self.codes.items())
        return self.ranges + coded + self.caps.ranges(self.outputs)

    def all_relations(self) -> tuple[Relation, ...]:
        return self.relations + self.caps.relations(self.outputs)

    @model_validator(mode="after")
    def _columns_are_known(self) -> Self:
        columns = self.inputs + self.outputs
        if len(set(columns)) != len(columns):
            raise ValueError("a column is named twice among inputs and outputs")
        named = chain(
            (limit.field for limit in self.ranges),
            *((limit.lesser, limit.greater) for limit in self.relations),
            *((limit.prediction, limit.lower, limit.upper) for limit in self.widths),
        )
        if unknown := set(named) - set(columns):
            raise ValueError(
                f"limits name columns that the family does not have: {sorted(unknown)}"
            )
        if strays := (set(self.codes) | set(self.whole)) - set(self.outputs):
            raise ValueError(f"codes and whole may only name outputs, not {sorted(strays)}")
        if WORKERS in self.outputs and WORKERS_NOW not in self.inputs:
            raise ValueError(f"the caps on {WORKERS} need the input {WORKERS_NOW}")
        return self

    @model_validator(mode="after")
    def _only_answers_are_clamped(self) -> Self:
        for limit in self.ranges:
            if limit.repair is Repair.CLAMP and limit.field not in self.outputs:
                raise ValueError(f"{limit.field} is an input: its range can only fall back")
        for relation in self.relations:
            sides = {relation.lesser, relation.greater} & set(self.outputs)
            if relation.repair is Repair.CLAMP and len(sides) != 1:
                raise ValueError(
                    f"{relation.lesser} <= {relation.greater} can be clamped only when "
                    "exactly one side is an output"
                )
        return self

    @model_validator(mode="after")
    def _fallback_answers_everything(self) -> Self:
        cooked = tuple(recipe.field for recipe in self.fallback)
        if sorted(cooked) != sorted(self.outputs):
            raise ValueError(f"the fallback needs one recipe for each output, but has {cooked}")
        for position, recipe in enumerate(self.fallback):
            if early := set(recipe.reads()) & set(cooked[position:]):
                raise ValueError(f"the recipe for {recipe.field} reads {sorted(early)} too early")
        return self

    @model_validator(mode="after")
    def _fallback_keeps_the_ranges(self) -> Self:
        reach = {recipe.field: recipe.reach() for recipe in self.fallback}
        for limit in self.all_ranges():
            if limit.repair is Repair.FALLBACK and limit.field in reach:
                _refuse_reach_outside(limit, *reach[limit.field])
        return self


class SafetyPolicy(Frozen):
    """The policy of the platform, a family at a time."""

    families: dict[str, FamilyPolicy]
    emergency: EmergencyRules = EmergencyRules()

    def family(self, name: str) -> FamilyPolicy:
        try:
            return self.families[name]
        except KeyError:
            raise UnknownFamilyError(name, tuple(self.families)) from None


def _code_range(field: str, names: tuple[str, ...]) -> Range:
    return Range(
        field=field,
        low=0,
        high=len(names) - 1,
        level=Level.CRITICAL,
        message=f"The code is not one of {', '.join(names)}.",
    )


def _refuse_reach_outside(limit: Range, least: float, greatest: float) -> None:
    under = limit.low is not None and (
        least < limit.low or (limit.above_low and least == limit.low)
    )
    over = limit.high is not None and greatest > limit.high
    if under or over:
        raise ValueError(
            f"the fallback for {limit.field} can reach [{least}, {greatest}], "
            f"outside its own {limit.level} range"
        )
