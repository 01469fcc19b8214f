"""How a policy is written: what a later release added is left out where it says nothing.

So a document of an earlier release is written as it was then, and keeps its hash.
"""

from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from settings.frozen import Frozen


class Grown(Frozen):
    """Data that has got fields since it was first published."""

    added: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_what_says_nothing(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        silent = {name for name in self.added if getattr(self, name) == _default(self, name)}
        return {name: value for name, value in fields.items() if name not in silent}


def _default(data: Grown, name: str) -> Any:
    return type(data).model_fields[name].get_default(call_default_factory=True)
