"""The places of a SQL template that are filled in for each question, such as `{from:DateTime}`.

The server parses a value by its place's type after it has parsed the statement, so that no value
can become SQL. Moments are written as seconds since 1970, which no server's time zone changes.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_PLACE: Final = re.compile(r"\{\s*(?P<name>[A-Za-z_]\w*)\s*:\s*(?P<type>[^{}]+?)\s*\}")
_MOMENT: Final = r"DateTime(\([^()]*\))?|DateTime64\([^()]*\)|U?Int(32|64)|Float64"
_TYPES: Final = {
    "from": re.compile(_MOMENT),
    "to": re.compile(_MOMENT),
    "cadence": re.compile(r"U?Int(16|32|64)|Float64"),
}


class Place(NamedTuple):
    name: str
    type: str


def places_of(sql: str) -> Iterator[Place]:
    for found in _PLACE.finditer(sql):
        yield Place(found["name"], found["type"])


def wrong_places(sql: str) -> str | None:
    """Say what is wrong with the places of a template; None where nothing is."""
    found = list(places_of(sql))
    for name, kind in found:
        if name not in _TYPES:
            return f"there is no {{{name}}}: known are {{from}}, {{to}} and {{cadence}}"
        if not _TYPES[name].fullmatch(kind):
            return (
                f"{{{name}:{kind}}} has a type that holds no such number: give DateTime64(3) for "
                "a moment, and UInt32 for the cadence"
            )
    if missing := {"from", "to"} - {place.name for place in found}:
        names = " and ".join(f"{{{name}:DateTime64(3)}}" for name in sorted(missing))
        return f"it lacks {names}: else the whole table would be read each time"
    return None


def filled(sql: str, *, start: int, stop: int, cadence_seconds: int) -> dict[str, str]:
    """Give the text of each place's value."""
    values = {"from": start, "to": stop, "cadence": cadence_seconds}
    there = {place.name for place in places_of(sql)}
    return {name: str(value) for name, value in values.items() if name in there}
