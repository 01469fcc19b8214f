"""Chooses the label that names the entity, by how many of the series have it."""

from collections.abc import Sequence
from typing import NamedTuple

from features.sources.prometheus.catalogue.conventions import ENTITY_LABELS
from features.sources.prometheus.inventory import Inventory

# A label that a few series lack is as good as one that all have; one that half lack is not.
NEARLY = 0.95


class Candidate(NamedTuple):
    label: str
    share: float  # of the series
    values: int


def choose_label(inventory: Inventory, names: Sequence[str]) -> Candidate | None:
    """Take the likeliest of the labels that most series have; one that tells them apart first.

    Labels of processes, such as `instance` and `pod`, are no candidates: a service has many.
    """
    all_of_them = [candidate(inventory, label, names) for label in ENTITY_LABELS]
    found = [each for each in all_of_them if each.share > 0]
    if not found:
        return None
    enough = NEARLY * max(each.share for each in found)
    covering = [each for each in found if each.share >= enough]
    return next((each for each in covering if each.values > 1), covering[0])


def candidate(inventory: Inventory, label: str, names: Sequence[str]) -> Candidate:
    values = inventory.label(label).values(names)
    return Candidate(label, inventory.share(label, names), len(values))
