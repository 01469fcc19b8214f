"""Which places of a document that differ a replay of recorded decisions says nothing about."""

from collections.abc import Iterable, Iterator

from config_store.changes.difference import differences
from config_store.document import ConfigDocument
from deployments.api.impact import NotReplayedShown

MOST_PLACES = 100

# By how a place begins, the first that fits: why it is not replayed; empty where it is.
_REASONS = (
    ("safety.families", ""),
    ("safety.emergency", "which rows come within seconds of each other turns emergency mode on"),
    ("serving.tail.slo_ms", ""),
    ("serving.tail.model", ""),
    ("serving.tail.alias", ""),
    ("serving.capacity.model", "which hours were known then is not recorded with a plan"),
    ("serving.capacity.alias", "which hours were known then is not recorded with a plan"),
    ("serving", "how long a request waits changes no answer but those that come too late"),
    ("features.defaults", ""),
    ("features.stale_after_seconds", "it marks answers, and changes none"),
    ("features", "features are taken as they were recorded"),
    ("sources.entities", ""),
    ("sources", "telemetry is taken as it was measured"),
    ("streams", "what streams had seen by then is not recorded with an answer"),
    ("bandits", "what experiments had learned by then is not recorded with an answer"),
    ("quotas", "who is refused by a quota has no decision that was recorded"),
)


def not_replayed(
    versions: Iterable[ConfigDocument], candidate: ConfigDocument
) -> list[NotReplayedShown]:
    """Name the places in which a version differs from those that answered, and why they are out."""
    found = dict[str, str]()
    after = candidate.model_dump(mode="json")
    for each in versions:
        found |= _named(each, after)
    return [NotReplayedShown(path=path, why=found[path]) for path in sorted(found)[:MOST_PLACES]]


def _named(version: ConfigDocument, after: object) -> Iterator[tuple[str, str]]:
    for each in differences(version.model_dump(mode="json"), after):
        why = next(
            (why for begin, why in _REASONS if _is_within(each.path, begin)),
            "a replay does not know what it does",
        )
        if why:
            yield each.path, why


def _is_within(path: str, begin: str) -> bool:
    return path == begin or path.startswith((f"{begin}.", f"{begin}["))
