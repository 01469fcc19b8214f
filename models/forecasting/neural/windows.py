"""A training's windows, drawn from the data set once and kept as tensors.

pytorch-forecasting cuts a window in a third of a millisecond, every time it is asked: as long as
the network takes for it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from models.forecasting.neural.libraries import Libraries

Batch = tuple[dict[str, Any], tuple[Any, Any]]


class Windows:
    """A loader of so many batches of random windows; the same ones for the same seed."""

    def __init__(
        self, libraries: Libraries, data: Any, *, most: int, batch: int, steps: int, seed: int
    ) -> None:
        chosen = np.random.default_rng(seed).permutation(len(data))[:most]
        samples = [data[int(place)] for place in chosen]
        # The data set's own way of laying samples together, which is what its loader calls.
        self._inputs, (self._truth, self._weight) = data._collate_fn(samples)  # noqa: SLF001
        self._order = libraries.torch.Generator().manual_seed(seed)
        self._draw = libraries.torch.randint
        self._count, self._batch, self._steps = len(samples), batch, steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self._steps):
            rows = self._draw(self._count, (self._batch,), generator=self._order)
            inputs = {name: each[rows] for name, each in self._inputs.items()}
            yield inputs, (self._truth[rows], self._weight[rows])
