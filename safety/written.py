"""How a policy is written: what a later release added is left out where it says nothing.

So a document of an earlier release is written as it was then, and keeps its hash.
"""

from functools import cache
from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from settings.frozen import Frozen


class Grown(Frozen):
    """Data that has got fields since it was first published."""

    added: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_what_says_nothing(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        for name, nothing in _what_says_nothing(type(self)).items():
            if getattr(self, name) == nothing:
                fields.pop(name, None)
        return fields


@cache
def _what_says_nothing(kind: type[Grown]) -> dict[str, Any]:
    """Give the defaults of what was added; a whole policy is written for each of its hashes."""
    return {
        name: kind.model_fields[name].get_default(call_default_factory=True) for name in kind.added
    }
