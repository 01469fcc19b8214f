"""Requests that depend on each other, counted as one observation.

A key's requests within a minute share a cause: one slow minute of one service is one event, not a
thousand. All of a group together weigh 1; what remains is assumed of groups, not of requests.
"""

from collections.abc import Sequence

import numpy as np

from models.evidence.bets import Floats
from models.protocols import BoolArray, IntArray


def group_of(keys: Sequence[str], minutes: IntArray, candidate: BoolArray | None) -> IntArray:
    """Give requests of one key, one minute and one arm the same number."""
    _, key = np.unique(np.asarray(keys, dtype=object).astype(str), return_inverse=True)
    columns = [key, minutes] if candidate is None else [key, minutes, candidate]
    table = np.stack([np.asarray(each, dtype=np.int64) for each in columns], axis=1)
    _, group = np.unique(table, axis=0, return_inverse=True)
    return group.astype(np.int64)


def weights_of(groups: IntArray | None, size: int) -> Floats:
    """Weigh each request so that its group weighs 1."""
    if groups is None:
        return np.ones(size)
    weights: Floats = 1.0 / np.bincount(groups)[groups]
    return weights


def averages(groups: IntArray | None, *columns: Floats) -> list[Floats]:
    """Average each column over each group."""
    if groups is None:
        return list(columns)
    _, group = np.unique(groups, return_inverse=True)
    size = np.bincount(group)
    return [np.bincount(group, each) / size for each in columns]
