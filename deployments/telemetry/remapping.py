"""What becomes of a source's past when its mapping is corrected.

The mapping in force is noted in the store, beside the rows that it gave. Where it is another one
than before, what a changed rule gave does not answer any more (features/telemetry/mappings.py), and
the past is fetched by the new one. Of what is sent to the platform no past can be fetched: there
only metrics end that are mapped no longer.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson
from pydantic import ValidationError

from config_store.sources import (
    CandlesSource,
    ClickhouseSource,
    LogsSource,
    PostedLogsSource,
    PrometheusSource,
    QueriedSource,
    RemoteWriteSource,
    SourceConfig,
)
from features.sources.candles.rules import CandleMapping
from features.sources.clickhouse.rules import Table, Template
from features.sources.logs.config import LineRules
from features.sources.rules import Mapping
from features.telemetry.mappings import WHOLE, mapping_in_force, note_mapping
from features.telemetry.tables import ColumnStore

_LATENCIES = ("p50_ms", "p95_ms", "p99_ms", "p999_ms")
# What changes with each part of the rules of logs; which files they are in is no rule.
_BY_PART_OF_LOGS = {
    "entity_field": (WHOLE,),
    "entity_name": (WHOLE,),
    "time": (WHOLE,),
    "requests": ("request_rate", "error_rate"),
    "latency": ("request_rate", "error_rate", *_LATENCIES, "exemplars"),
    "patterns": ("request_rate", "error_rate", "deploy"),
}
_DEPLOYS = ("deploys", "deploy")
ID_CHARACTERS = 12
Parts = dict[str, Any]
Rules = Mapping | LineRules | Table | Template | CandleMapping


class Remapping:
    """The mapping that one source is configured with, against the one that was in force."""

    def __init__(self, name: str, config: SourceConfig) -> None:
        self._name = name
        self._config = config
        self.has_a_past = not isinstance(config, RemoteWriteSource | PostedLogsSource)
        """Whether it can be asked for its past again."""

    def apply(self, store: ColumnStore, now_ms: int) -> tuple[int, bool]:
        """Note the mapping where it is new.

        Gives since when its rows are known, and whether earlier ones were of other entities.
        """
        rules = rules_of(self._config)
        if rules is None:
            return 0, False
        mapping, known = rules.model_dump_json(), mapping_in_force(store, self._name)
        if known is None:
            # By a release that noted none, or the first: all that is there is of this mapping.
            note_mapping(store, self._name, mapping, since_ms=0)
            return 0, False
        before = _parts(known.mapping, type(rules))
        if before == _parts(mapping, type(rules)):
            return known.since_ms, False
        ended = self._ended(before, _parts(mapping, type(rules)))
        since_ms = max(now_ms, known.since_ms + 1)  # the clock may have been set back
        note_mapping(store, self._name, mapping, since_ms=since_ms, ended=ended)
        return since_ms, WHOLE in ended

    def is_new(self, store: ColumnStore) -> bool:
        """Tell whether the past was read by another mapping."""
        known, rules = mapping_in_force(store, self._name), rules_of(self._config)
        if known is None or rules is None:
            return False
        return _parts(known.mapping, type(rules)) != _parts(rules.model_dump_json(), type(rules))

    def _ended(self, before: Parts, now: Parts) -> Sequence[str]:
        if not before:  # of another kind, under the same name
            return [WHOLE]
        if isinstance(self._config, LogsSource):
            changed = [part for part in _BY_PART_OF_LOGS if before.get(part) != now.get(part)]
            return sorted({each for part in changed for each in _BY_PART_OF_LOGS[part]})
        if isinstance(self._config, PostedLogsSource):
            return sorted(_given_by_lines(before) - _given_by_lines(now))
        if not self.has_a_past:
            return sorted(before["metrics"].keys() - now["metrics"].keys())
        if _common(before) != _common(now):
            return [WHOLE]
        rules = before["metrics"]
        ended = [name for name in rules if rules[name] != now["metrics"].get(name)]
        deploys = any(before.get(part) != now.get(part) for part in _DEPLOYS)
        return sorted([*ended, *(["deploy"] if deploys else [])])


def _common(parts: Parts) -> Parts:
    """Give what every number rests on: the entity's name, and of tables the rows and their time."""
    return {name: each for name, each in parts.items() if name not in ("metrics", *_DEPLOYS)}


def _given_by_lines(parts: Parts) -> set[str]:
    """Tell which metrics rules of lines give."""
    kinds = {each["kind"] for each in parts["patterns"]}
    return {
        *(("error_rate",) if "error" in kinds else ()),
        *(("deploy",) if "deploy" in kinds else ()),
        *((*_LATENCIES, "exemplars") if parts["latency"] is not None else ()),
    }


def rules_of(config: SourceConfig) -> Rules | None:
    """Give what decides of a source's numbers; None where whoever posts does."""
    match config:
        case PrometheusSource() | RemoteWriteSource() | CandlesSource():
            return config.mapping
        case LogsSource() | PostedLogsSource():
            return config.lines
        case ClickhouseSource():
            return config.query
        case _:
            return None


def mapping_of(config: QueriedSource) -> Mapping | Table | Template | CandleMapping:
    """Give how what a source has becomes metrics, whatever the configuration calls it."""
    return config.query if isinstance(config, ClickhouseSource) else config.mapping


def mapping_field(config: QueriedSource) -> str:
    """Name the field of the configuration that holds the mapping."""
    return "query" if isinstance(config, ClickhouseSource) else "mapping"


def mapping_id(config: QueriedSource) -> str:
    """Name a mapping, in a word that can be typed."""
    rules = mapping_of(config).model_dump(mode="json")
    canonical = orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)
    return sha256(canonical).hexdigest()[:ID_CHARACTERS]


def by_noted_mapping(config: QueriedSource, noted: str) -> QueriedSource | None:
    """Give the source as it is by a mapping that was noted; None where that is no such mapping."""
    try:
        parts = config.model_dump(mode="json") | {mapping_field(config): orjson.loads(noted)}
        return type(config).model_validate(parts)
    except (ValidationError, orjson.JSONDecodeError):
        return None


def _parts(noted: str, model: type[Rules]) -> Parts:
    """Read what was noted, by whichever release: a field that came later has its default."""
    try:
        return model.model_validate_json(noted).model_dump(mode="json", exclude={"paths"})
    except ValidationError:
        return {}
