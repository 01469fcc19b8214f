"""The kinds of events on the timeline, each with the sentence that tells of one.

What stands in braces is the event's entity, its source, or one of its details: an event without it
is refused where it is made.
"""

from typing import Literal, get_args

Kind = Literal[
    "deploy",
    "restart",
    "entity_appeared",
    "entity_silent",
    "source_connected",
    "source_removed",
    "source_away",
    "source_back",
    "breaker_opened",
    "breaker_closed",
    "backfill_begun",
    "backfill_ended",
    "publication_accepted",
    "publication_refused",
    "demo_removed",
    "alarm",
    "model_trained",
    "config_activated",
    "events_lost",
]

SENTENCES: dict[Kind, str] = {
    "deploy": "A deploy of {entity} began",
    "restart": "A process of {entity} started anew",
    "entity_appeared": "{entity} was measured for the first time, by the source {source}",
    "entity_silent": "The source {source} no longer has telemetry of {entity}",
    "source_connected": "The source {source} gave telemetry for the first time",
    "source_removed": "The source {source} was removed from the configuration",
    "source_away": "The source {source} does not answer: {reason}",
    "source_back": "The source {source} answers again",
    "breaker_opened": "The source {source} is left alone for a while, after {failures} failures",
    "breaker_closed": "The source {source} is asked as usual again",
    "backfill_begun": "The past of the source {source} is fetched anew, from {since} to {until}",
    "backfill_ended": "The past of the source {source} is no longer fetched anew: {outcome}",
    "publication_accepted": "The new version of {what} is in force: {reason}",
    "publication_refused": "The new version of {what} is held back: {reason}",
    "demo_removed": "The demo's telemetry was removed: {source} measures a real platform",
    "alarm": "{metric} of {entity} is unlike its past: {value}",
    "model_trained": "The model {model} was trained; its new version is {version}",
    "config_activated": "Configuration {version} by {author} was activated: {reason}",
    "events_lost": "{lost} events in all were lost while the archive was away",
}

KINDS: tuple[Kind, ...] = get_args(Kind)
