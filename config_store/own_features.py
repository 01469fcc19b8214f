"""Features that users define themselves, by expressions or functions over those that there are."""

import keyword
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Self

import orjson
from pydantic import AfterValidator, Field, model_validator

from features.definitions.catalogue import Catalogue
from features.definitions.definition import Definition, Function, Kind
from features.definitions.expression import FUNCTIONS, LONGEST, Expression, parse
from features.errors import BadDefinitionError, BadExpressionError
from settings.frozen import Frozen

MOST = 200
MOST_INPUTS = 50
ID_CHARACTERS = 12
_PART = r"[A-Za-z_][A-Za-z0-9_]{0,62}"


def _usable(name: str) -> str:
    if name in FUNCTIONS or keyword.iskeyword(name):
        raise ValueError(f"the name {name!r} means something in expressions: choose another")
    return name


FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$"), AfterValidator(_usable)]


class OwnFeature(Frozen):
    """One feature: an expression over others, or a function that is given columns of others."""

    expression: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST,
        description="Such as `error_rate * request_rate`; or give a `function`.",
    )
    function: str | None = Field(
        None,
        max_length=200,
        pattern=rf"^{_PART}(\.{_PART})*:{_PART}$",
        description="A module of the operator's folder by its dotted name, a colon, and the name "
        "of a function, which is given the `inputs` as numpy arrays by their names.",
    )
    inputs: tuple[FeatureName, ...] = Field((), max_length=MOST_INPUTS)
    unit: str = Field("", max_length=40)
    description: str = Field("", max_length=500)
    owner: str = Field("", max_length=200)
    low: float | None = Field(None, description="A value below it is not believed.")
    high: float | None = Field(None, description="A value above it is not believed.")
    forced: str | None = Field(
        None,
        pattern=rf"^[0-9a-f]{{{ID_CHARACTERS}}}$",
        description="The id of a definition that is in force although it is out of bounds, as "
        "`ballast features list` shows it.",
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.expression is None) == (self.function is None):
            raise ValueError("give either an expression or a function")
        if (self.function is None) != (not self.inputs):
            raise ValueError(
                "inputs are of a function: an expression names its own, a function "
                "needs one at least"
            )
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError("an input is named twice")
        return self

    @property
    def module(self) -> str | None:
        """Name the module in which its function is."""
        return None if self.function is None else self.function.partition(":")[0]

    @property
    def needs(self) -> tuple[str, ...]:
        """Name the features that it is computed of; raises BadExpressionError."""
        return self.inputs if self.expression is None else parse(self.expression).names

    def id(self, digest: str) -> str:
        """Name what decides its value, in a word that can be typed; `digest` is its module's."""
        decides = self.model_dump(include={"expression", "function", "inputs", "low", "high"})
        canonical = orjson.dumps([decides, digest], option=orjson.OPT_SORT_KEYS)
        return sha256(canonical).hexdigest()[:ID_CHARACTERS]


OwnFeatures = Annotated[dict[FeatureName, OwnFeature], Field(max_length=MOST)]


def catalogue_of(
    own: Mapping[str, OwnFeature], live_ttl_seconds: float, digests: Mapping[str, str] = {}
) -> Catalogue:
    """Put the own definitions to the shipped ones; ValueError names the place of a mistake.

    The digests are those of functions' modules, by feature.
    """
    try:
        definitions = [_definition(name, each, digests.get(name, "")) for name, each in own.items()]
        return Catalogue(definitions, live_ttl_seconds=live_ttl_seconds)
    except BadDefinitionError as error:
        raise ValueError(f"definitions.{error.name}: {error.reason}") from error


def _definition(name: str, own: OwnFeature, digest: str) -> Definition:
    low = -math.inf if own.low is None else own.low
    high = math.inf if own.high is None else own.high
    if low > high:
        raise BadDefinitionError(name, f"low {low:g} is more than high {high:g}")
    computed = _computed(name, own, digest)
    return Definition(
        name,
        Kind.DERIVED,
        own.unit,
        own.description,
        computed,
        type=computed.type if isinstance(computed, Expression) else "number",
        owner=own.owner,
        low=low,
        high=high,
    )


def _computed(name: str, own: OwnFeature, digest: str) -> Expression | Function:
    if own.function is not None:
        return Function(own.function, own.inputs, digest)
    try:
        return parse(own.expression or "")
    except BadExpressionError as error:
        raise BadDefinitionError(name, f"expression {error}") from error
