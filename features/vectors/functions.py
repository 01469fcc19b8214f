"""Features by users' functions, put into the vectors of entities when those are published.

They are computed of the vector itself by the code that reads it, so a training set, which makes
the same vector again, computes them of the same numbers.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from features.datasets.kept import follows_from_streams
from features.definitions.catalogue import Catalogue
from features.definitions.definition import Definition, Function
from features.vectors.published import OWN
from features.vectors.reading import CallsFunctions, Floats, Reading
from features.vectors.vector import Vector, layout_of


class FunctionFeatures:
    """The features by functions of one catalogue."""

    def __init__(self, catalogue: Catalogue, functions: CallsFunctions | None) -> None:
        by_name = {
            name: each.computed
            for name, each in catalogue.by_name.items()
            if isinstance(each.computed, Function)
        }
        self.names = tuple(by_name)
        self.functions = tuple(dict.fromkeys(by_name.values()))
        self._not_kept = [name for name in self.names if follows_from_streams(catalogue, name)]
        self._catalogue = catalogue
        self._functions = functions
        self.layout = layout_of(catalogue.versions, self.names) if self.names else OWN

    def put_into(self, vectors: Mapping[str, Vector]) -> dict[str, Vector]:
        """Compute them of vectors of the shipped features; takes a while, for the first time."""
        if not self.names or self._functions is None or not vectors:
            return dict(vectors)
        noted = _Noted(self._functions)
        reading = Reading(self._catalogue, self.names, noted)
        found = reading.read([(OWN, each.encode(OWN)) for each in vectors.values()], np.nan)
        columns = {
            name: np.where(found.outside[:, at], noted.found[name], found.values[:, at])
            for at, name in enumerate(self.names)
        }
        return {
            entity: replace(
                each,
                values={**each.values, **{n: float(own[at]) for n, own in columns.items()}},
            )
            for at, (entity, each) in enumerate(vectors.items())
        }

    def as_computed_again(
        self, computed: Mapping[str, Vector], published: Mapping[str, Vector]
    ) -> dict[str, Vector]:
        """Give vectors without what streams said, with the functions' values that are published.

        A function that follows from what streams said cannot be computed again either.
        """
        if not self.names:
            return dict(computed)
        missing = dict.fromkeys(self._not_kept, np.nan)
        return {
            entity: replace(
                each,
                values={
                    **each.values,
                    **{n: published[entity].values.get(n, np.nan) for n in self.names},
                    **missing,
                },
            )
            for entity, each in computed.items()
        }


class _Noted:
    """Notes what functions give, also where it is out of bounds: readers say so."""

    def __init__(self, functions: CallsFunctions) -> None:
        self._functions = functions
        self.found: dict[str, Floats] = {}

    def evaluate(
        self, definition: Definition, function: Function, columns: Mapping[str, Floats]
    ) -> Floats:
        found = self._functions.evaluate(definition, function, columns)
        self.found[definition.name] = found
        return found
