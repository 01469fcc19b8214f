"""How a family answers without its model: one recipe for each output, from inputs and constants."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.frozen import Frozen


class Constant(Frozen):
    """The field always gets this value."""

    kind: Literal["constant"] = "constant"
    field: str
    value: float

    def reads(self) -> tuple[str, ...]:
        return ()

    def when_unknown(self) -> "Constant":
        """Give the constant that answers where nothing is known that the recipe reads."""
        return self

    def reach(self) -> tuple[float, float]:
        """Tell the least and the greatest value that this recipe can give."""
        return self.value, self.value


class Multiple(Frozen):
    """The field gets a multiple of another one, kept within [low, high]."""

    kind: Literal["multiple"] = "multiple"
    field: str
    of: str
    times: float
    otherwise: float = Field(description="Used when the other field is absent or not finite.")
    low: float
    high: float

    @model_validator(mode="after")
    def _otherwise_is_within(self) -> Self:
        if not self.low <= self.otherwise <= self.high:
            raise ValueError(
                f"the recipe for {self.field} needs low <= otherwise <= high, "
                f"not {self.low}, {self.otherwise}, {self.high}"
            )
        return self

    def reads(self) -> tuple[str, ...]:
        return (self.of,)

    def when_unknown(self) -> Constant:
        return Constant(field=self.field, value=self.otherwise)

    def reach(self) -> tuple[float, float]:
        return self.low, self.high


class Threshold(Frozen):
    """The field gets `within` where one field stays at or under another, else `beyond`.

    An absent or not finite field counts as beyond: what cannot be compared is not known to be fine.
    """

    kind: Literal["threshold"] = "threshold"
    field: str
    of: str
    over: str
    within: float
    beyond: float

    def reads(self) -> tuple[str, ...]:
        return (self.of, self.over)

    def when_unknown(self) -> Constant:
        return Constant(field=self.field, value=self.beyond)

    def reach(self) -> tuple[float, float]:
        return min(self.within, self.beyond), max(self.within, self.beyond)


Recipe = Annotated[Constant | Multiple | Threshold, Field(discriminator="kind")]
