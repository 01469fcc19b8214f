"""Which features can be computed again as of any moment, and so be in a training set."""

from collections.abc import Iterable

from features.definitions.catalogue import Catalogue
from features.definitions.definition import Judged
from features.errors import NotKeptError


def kept_features(catalogue: Catalogue, names: Iterable[str]) -> tuple[str, ...]:
    """Give these features, or all that are kept where none is named; refuse those that are not.

    What streams say of telemetry follows from all that they saw before, which no row holds.
    """
    known = catalogue.known(names)
    not_kept = {
        name for name in known or catalogue.by_name if follows_from_streams(catalogue, name)
    }
    if known and not_kept:
        raise NotKeptError(sorted(not_kept))
    return known or tuple(name for name in catalogue.by_name if name not in not_kept)


def follows_from_streams(catalogue: Catalogue, name: str) -> bool:
    """Tell whether a feature is what streams said, or computed of it."""
    order = catalogue.order([name])
    return any(isinstance(catalogue.by_name[each].computed, Judged) for each in order)
