"""What follows for the answers where a metric is missing, by what each model says that it needs."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from features.definitions.live import LIVE
from models.needs import NEEDS

_FEATURES = {feature.name for feature in LIVE}


def follows(metric: str, there: Collection[str]) -> str:
    """Say it in a few words, where these metrics are there."""
    parts = [*_untrained(metric, there), *_less(metric)]
    if metric in _FEATURES:
        parts.append("a request that does not state it is answered with an assumed value")
    return "; ".join(parts) or "nothing: no answer uses it"


def _untrained(metric: str, there: Collection[str]) -> Iterator[str]:
    models = defaultdict(list)
    for need in NEEDS.values():
        if any(metric in choice and not set(choice) & set(there) for choice in need.required):
            models[need.until_then].append(need.model)
    for instead, names in models.items():
        yield f"not trained: {', '.join(names)} ({instead})"


def _less(metric: str) -> Iterator[str]:
    for need in NEEDS.values():
        yield from (each.without for each in need.optional if each.metric == metric)
