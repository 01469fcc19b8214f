"""When a limit holds: comparisons of columns, joined by all and any."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_serializer

from settings.frozen import Frozen

Operator = Literal["<", "<=", ">", ">=", "==", "!="]

# Every row pays for each comparison, whether it holds or not.
MOST_COMPARISONS = 64
MOST_NESTED = 8


class Comparison(Frozen):
    """Compares a column with a number or with another column.

    A side that is missing, or no finite number, makes it what `if_missing` says, whatever the
    operator.
    """

    left: str
    op: Operator
    right: float | str = Field(
        description="A number, a column, or one of the choices that the left column's codes name."
    )
    if_missing: bool = False

    @model_serializer
    def _written(self) -> dict[str, Any]:
        missing = {"if_missing": True} if self.if_missing else {}
        return {"left": self.left, "op": self.op, "right": self.right, **missing}


class AllOf(Frozen):
    """Holds where each of these does."""

    all: tuple["Condition", ...] = Field(min_length=1)


class AnyOf(Frozen):
    """Holds where at least one of these does."""

    any: tuple["Condition", ...] = Field(min_length=1)


def _kind(value: Any) -> str:
    """Tell the kinds apart by their own field, so that an error names the path of one alone."""
    fields = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    return next((kind for kind in ("all", "any") if kind in fields), "comparison")


Condition = Annotated[
    Annotated[Comparison, Tag("comparison")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")],
    Discriminator(_kind),
]


def comparisons(condition: Condition, nested: int = 1) -> Iterator[tuple[Comparison, int]]:
    """Give the comparisons of a condition, each with how deep it stands."""
    if isinstance(condition, Comparison):
        yield condition, nested
        return
    for part in condition.all if isinstance(condition, AllOf) else condition.any:
        yield from comparisons(part, nested + 1)


AllOf.model_rebuild()
AnyOf.model_rebuild()
