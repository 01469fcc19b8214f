"""How lines of a log become metrics of entities: the patterns, as data."""

import re
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from settings.frozen import Frozen

# A part of a nested object is named with a dot, as in `http.status`.
FieldName = Annotated[str, Field(min_length=1, max_length=200)]


# Look-around, references back, and what never gives back: RE2 has none of them.
_BEYOND_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P[=>])|\\[1-9]|[*+?}]\+")


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if _BEYOND_RE2.search(pattern):
        raise ValueError(
            f"{pattern!r} looks around or back: expressions are RE2's, which no text makes slow"
        )
    return pattern


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError(f"{zone!r} is no time zone: give one such as 'Europe/London'")
    return zone


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} depends on where the history was started: begin it with /")
    return path


class Condition(Frozen):
    """What a field of a line must be; just one of the three is given."""

    field: FieldName
    equals: str | int | float | bool | None = None
    at_least: float | None = Field(None, description="For numbers, such as a status of 500.")
    matches: Annotated[str, Field(max_length=1000), AfterValidator(_compiles)] | None = Field(
        None, description="A regular expression, found anywhere in the text."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = (self.equals, self.at_least, self.matches)
        if sum(each is not None for each in given) != 1:
            raise ValueError(
                f"the condition on {self.field!r} needs one of equals, at_least, matches"
            )
        return self


class TimeField(Frozen):
    """Which field says when the line's request was answered, and how it is written."""

    field: FieldName = "time"
    format: Literal["rfc3339", "s", "ms", "us", "ns"] = Field(
        "rfc3339", description="A date and time, or such units since 1970."
    )
    zone: Annotated[str, AfterValidator(_known_zone)] | None = Field(
        None, description="The time zone of times that name no offset; without it they are refused."
    )


class LatencyField(Frozen):
    """Which field says how long the request took."""

    field: FieldName
    unit: Literal["s", "ms", "us", "ns"] = "ms"


class Pattern(Frozen):
    """Lines that meet all conditions are of a kind."""

    kind: Literal["error", "deploy", "restart"] = Field(
        description="The request failed; a deploy of the entity began; a process of it started."
    )
    where: tuple[Condition, ...] = Field(min_length=1, max_length=10)


class LineRules(Frozen):
    """What the fields of JSON lines mean, wherever the lines come from."""

    entity_field: FieldName | None = None
    entity_name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Where all lines are of one entity."
    )
    time: TimeField = TimeField()
    latency: LatencyField | None = None
    requests: tuple[Condition, ...] = Field(
        (),
        max_length=10,
        description="Which lines tell of a request; by default those with a latency, or all lines "
        "that match no pattern of a deploy or restart where no latency is given.",
    )
    patterns: tuple[Pattern, ...] = Field((), max_length=50)

    @model_validator(mode="after")
    def _names_the_entity(self) -> Self:
        if (self.entity_field is None) == (self.entity_name is None):
            raise ValueError("give either entity_field or entity_name")
        return self


class LogRules(LineRules):
    """Files of JSON lines, and what their fields mean."""

    paths: tuple[Annotated[str, AfterValidator(_absolute)], ...] = Field(
        min_length=1, max_length=100, description="Files, or patterns such as /var/log/app.log*."
    )
