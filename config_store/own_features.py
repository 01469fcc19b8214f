"""Features that users define themselves, as expressions over those that there are."""

import keyword
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from features.definitions.catalogue import Catalogue
from features.definitions.definition import Definition, Kind
from features.definitions.expression import FUNCTIONS, LONGEST, parse
from features.errors import BadDefinitionError, BadExpressionError
from settings.frozen import Frozen

MOST = 200


def _usable(name: str) -> str:
    if name in FUNCTIONS or keyword.iskeyword(name):
        raise ValueError(f"the name {name!r} means something in expressions: choose another")
    return name


FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$"), AfterValidator(_usable)]


class OwnFeature(Frozen):
    """One feature: an expression over others, such as `error_rate * request_rate`."""

    expression: str = Field(min_length=1, max_length=LONGEST)
    unit: str = Field("", max_length=40)
    description: str = Field("", max_length=500)
    owner: str = Field("", max_length=200)
    low: float | None = Field(None, description="A value below it is not believed.")
    high: float | None = Field(None, description="A value above it is not believed.")


OwnFeatures = Annotated[dict[FeatureName, OwnFeature], Field(max_length=MOST)]


def catalogue_of(own: Mapping[str, OwnFeature], live_ttl_seconds: float) -> Catalogue:
    """Put the own definitions to the shipped ones; ValueError names the place of a mistake."""
    try:
        definitions = [_definition(name, each) for name, each in own.items()]
        return Catalogue(definitions, live_ttl_seconds=live_ttl_seconds)
    except BadDefinitionError as error:
        raise ValueError(f"definitions.{error.name}: {error.reason}") from error


def _definition(name: str, own: OwnFeature) -> Definition:
    bounds = {"low": own.low, "high": own.high}
    if own.low is not None and own.high is not None and own.low > own.high:
        raise BadDefinitionError(name, f"low {own.low:g} is more than high {own.high:g}")
    try:
        expression = parse(own.expression)
    except BadExpressionError as error:
        raise BadDefinitionError(name, f"expression {error}") from error
    return Definition(
        name,
        Kind.DERIVED,
        own.unit,
        own.description,
        expression,
        type=expression.type,
        owner=own.owner,
        **{word: each for word, each in bounds.items() if each is not None},
    )
