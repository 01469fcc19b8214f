"""The safety policy as data: what an answer of each family may say, and what happens if it does."""

from enum import StrEnum
from hashlib import sha256
from typing import ClassVar, Literal, Self

import orjson
from pydantic import Field, model_validator

from safety.caps import WORKERS, WORKERS_NOW, Caps
from safety.columns import is_context_column, is_parameter
from safety.conditions import Comparison, comparisons
from safety.emergency import EmergencyRules
from safety.errors import UnknownFamilyError
from safety.limits import (
    DRASTIC,
    Breach,
    ChangeLimit,
    Forbidden,
    Level,
    Limit,
    Range,
    Relation,
    Repair,
    WidthLimit,
    governs_parameters,
)
from safety.recipes import Constant, Recipe
from safety.rungs import Rungs
from safety.written import Grown
from settings.frozen import Frozen

HASH_DIGITS = 16
# The repairs that put the fallback's row in the place of the model's.
_ANSWERED_ANEW = frozenset({Repair.FALLBACK, Repair.EMERGENCY})


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


class FamilyPolicy(Grown):
    """All that safety knows about one family: its columns, their limits, and its fallback."""

    added: ClassVar[frozenset[str]] = frozenset({"changes", "forbidden", "rungs"})

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    codes: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # answers that name a choice
    whole: tuple[str, ...] = ()  # answers that count things: repaired to whole numbers
    ranges: tuple[Range, ...] = ()
    relations: tuple[Relation, ...] = ()
    widths: tuple[WidthLimit, ...] = ()
    changes: tuple[ChangeLimit, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
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

    def all_limits(self) -> tuple[Limit, ...]:
        """Give every limit, in the order in which they are judged and carried out."""
        return (
            *self.all_ranges(),
            *self.all_relations(),
            *self.widths,
            *self.changes,
            *self.forbidden,
        )

    def context_columns(self) -> tuple[str, ...]:
        """Name what a limit reads besides inputs and outputs; a row may lack it."""
        known = {*self.inputs, *self.outputs}
        named = [column for limit in self.all_limits() for column in self.columns_of(limit)]
        return tuple(column for column in dict.fromkeys(named) if column not in known)

    def columns_of(self, limit: Limit) -> tuple[str, ...]:
        """Name the columns that a limit reads, each once."""
        found = [] if limit.when is None else [each for each, _ in comparisons(limit.when)]
        sides = [side for each in found for side in (each.left, self.right_of(each))]
        named = [
            *limit.governs(),
            *limit.against(),
            *(side for side in sides if isinstance(side, str)),
        ]
        return tuple(dict.fromkeys(named))

    def right_of(self, comparison: Comparison) -> float | str:
        """Give the number or the column that a comparison's left side is compared with."""
        right, choices = comparison.right, self.codes.get(comparison.left, ())
        return float(choices.index(right)) if right in choices else right

    def constants(self) -> tuple[Constant, ...]:
        """Give what the recipes say where nothing is known that they read."""
        return tuple(recipe.when_unknown() for recipe in self.fallback)

    def recipes(self) -> tuple[Recipe, ...]:
        """Give the recipes that answer: without the baseline rung all are constants."""
        return self.fallback if self.rungs.baseline else self.constants()

    def is_answer(self, column: str) -> bool:
        """Tell whether a column is said by the model, and so may be moved."""
        return column in self.outputs or is_parameter(column)

    @model_validator(mode="after")
    def _columns_are_known(self) -> Self:
        columns = self.inputs + self.outputs
        if len(set(columns)) != len(columns):
            raise ValueError("a column is named twice among inputs and outputs")
        if WORKERS in self.outputs and WORKERS_NOW not in self.inputs:
            raise ValueError(f"the caps on {WORKERS} need the input {WORKERS_NOW}")
        unknown = {
            column
            for column in self.context_columns()
            if not is_context_column(column, self.outputs)
        }
        if unknown:
            raise ValueError(
                f"limits name columns that the family does not have: {sorted(unknown)}"
            )
        if strays := {each for each in (*self.codes, *self.whole) if not self.is_answer(each)}:
            raise ValueError(f"codes and whole may only name outputs, not {sorted(strays)}")
        return self

    @model_validator(mode="after")
    def _only_answers_are_clamped(self) -> Self:
        fielded: tuple[Range | ChangeLimit, ...] = (*self.ranges, *self.changes)
        for limit in fielded:
            if limit.repair is Repair.CLAMP and not self.is_answer(limit.field):
                raise ValueError(f"{limit.field} is an input: its range can only fall back")
        for relation in self.relations:
            sides = [column for column in relation.governs() if self.is_answer(column)]
            if relation.repair is Repair.CLAMP and len(sides) != 1:
                raise ValueError(
                    f"{relation.lesser} <= {relation.greater} can be clamped only when "
                    "exactly one side is an output"
                )
        return self

    @model_validator(mode="after")
    def _what_is_broken_can_be_answered(self) -> Self:
        for limit in self.all_limits():
            where, acts = ", ".join(limit.governs()) or limit.name, self.acts(limit)
            if limit.repair in DRASTIC and not acts:
                raise ValueError(
                    f"the limit on {where} is to {limit.repair}, but nothing is done at level "
                    f"{limit.level}: give it a level that the responses substitute at"
                )
            if acts and limit.repair is Repair.FALLBACK and governs_parameters(limit):
                raise ValueError(
                    f"the limit on {where} falls back, but no fallback suggests a trial: "
                    "clamp it, or refuse"
                )
        return self

    def acts(self, limit: Limit) -> bool:
        """Tell whether an answer that breaks this limit is repaired, rather than only marked."""
        return self.responses.substitutes(limit.level)

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
        reach = {recipe.field: recipe.reach() for recipe in self.recipes()}
        for limit in self.all_ranges():
            judged = limit.repair in _ANSWERED_ANEW and limit.level is not Level.SAFE
            # What holds under a condition is proved before a policy is active (safety/proofs/).
            judged = judged and limit.when is None
            if judged and limit.field in reach:
                _refuse_reach_outside(limit, *reach[limit.field])
        return self


class SafetyPolicy(Grown):
    """The policy of the platform, a family at a time."""

    added: ClassVar[frozenset[str]] = frozenset({"emergency"})

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
        repair=Repair.REFUSE if is_parameter(field) else Repair.FALLBACK,
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
