"""Each row of a training set is what the live path served at its moment, to the last bit.

Telemetry comes late and is corrected, mappings are too, and a source's past is filled in behind
what is new. The live path publishes as it does in production; somebody reads a feature vector now
and then, as gateways do. When all has come in, a training set of those reads is made: it must hold
what was read.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from config_store.own_features import catalogue_of
from config_store.sources import EntityFacts
from deployments.telemetry.publishing import FeaturePublisher
from features.datasets.build import Builder, Wanted
from features.datasets.kept import kept_features
from features.datasets.spine import Spine
from features.functions.evaluated import Functions
from features.functions.folder import ModuleText
from features.functions.kept import KeptModules
from features.telemetry.mappings import WHOLE, note_mapping
from features.telemetry.tables import append
from features.vectors.functions import FunctionFeatures
from features.vectors.published import PublishedVectors
from features.vectors.reading import Features, Reading
from observability.clickhouse.embedded import EmbeddedClickhouse
from settings.redis_connection import open_redis
from tests.measurements import telemetry_of
from tests.redis_server import RedisServer

START = 1_773_144_000  # 2026-03-10 12:00 UTC
CADENCE = 600
ENTITIES = ("auth", "plain", "risk")
FACTS = {
    "auth": EntityFacts(exchange="XNYS"),
    "risk": EntityFacts(time_zone="Asia/Tokyo"),
    "plain": EntityFacts(),
}
MODULE = ModuleText(
    "own",
    b"""
import numpy as np

def headroom(load, active_workers):
    return np.exp(-load) * np.where(np.isnan(active_workers), 1.0, active_workers)

def odd(failures, cpu_mean_1h, hour_of_day):
    if (failures > 1e3).any():
        raise ValueError("too many")
    return np.log1p(failures) / cpu_mean_1h + hour_of_day
""",
)
OWN = FeatureConfig.model_validate(
    {
        "definitions": {
            "failures": {"expression": "error_rate * request_rate", "low": 0},
            "unusual": {"expression": "where(cpu_sd_24h > 0, cpu_mean_1h / cpu_sd_24h, 0)"},
            "headroom": {"function": "own:headroom", "inputs": ["load", "active_workers"]},
            "odd": {
                "function": "own:odd",
                "inputs": ["failures", "cpu_mean_1h", "hour_of_day"],
                "high": 1e4,
            },
            "after": {"expression": "headroom * 2 - odd"},
        }
    }
)
CATALOGUE = catalogue_of(
    OWN.definitions,
    OWN.stale_after_seconds,
    {"headroom": MODULE.sha256, "odd": MODULE.sha256},
)
# Longer than any pause of a busy machine: what is slow is missing live, and in no training set.
SECONDS = 60.0

NAMES = kept_features(CATALOGUE, ())
READING = Reading(CATALOGUE, NAMES)

_numbers = st.sampled_from([np.nan, 0.0, 0.1, 0.3, 0.7, 2.0, 3.3, 1e3]) | st.floats(0, 1e4)
_METRICS = (
    *("load", "infra", "request_rate", "error_rate", "active_workers", "cpu", "queue_depth"),
    *("p50_ms", "p99_ms"),
)
_rows = st.fixed_dictionaries({}, optional=dict.fromkeys(_METRICS, _numbers))
_ages = st.sampled_from([0, 1, 2, 3, 5, 7, 30, 140, 150, 600, 1000, 1300])
_keys = st.tuples(st.sampled_from(ENTITIES), _ages.map(lambda age: START - age * CADENCE))
# Milliseconds after the start, near the steps of minutes and hours on purpose.
_times = st.sampled_from(
    [
        *(0, 1, 999, 1000, 4000, 5000, 6137, 58_000, 61_000, 64_500, 66_000, 130_000),
        *(3_599_000, 3_601_000, 3_604_999, 3_606_000, 7_300_000, 90_000_000, 590_000_000),
    ]
)


class Came(NamedTuple):
    """Rows that one source gave; those of its past are stored and not published."""

    at_ms: int
    source: str
    rows: dict[tuple[str, int], dict[str, float]]
    past: bool
    lag_ms: int
    """How long it took until they were published."""


_came = st.lists(
    st.builds(
        Came,
        _times,
        st.sampled_from(["a", "b"]),
        st.dictionaries(_keys, _rows, min_size=1, max_size=8),
        st.booleans(),
        st.sampled_from([0, 3, 900, 3100]),
    ),
    min_size=1,
    max_size=7,
    unique_by=lambda each: (each.source, each.at_ms),
)


class Corrected(NamedTuple):
    """A mapping that is corrected: what a source gave of these columns ends."""

    at_ms: int
    source: str
    ended: list[str]


_corrected = st.lists(
    st.builds(
        Corrected,
        _times.map(lambda at: at + 1),
        st.sampled_from(["a", "b"]),
        st.sampled_from([[WHOLE], ["load"], ["request_rate", "cpu"]]),
    ),
    max_size=2,
    unique_by=lambda each: (each.source, each.at_ms),
)
_asked = st.lists(
    st.tuples(st.sampled_from(ENTITIES), _times, st.sampled_from([0, 1, 2500, 70_000])),
    min_size=1,
    max_size=12,
)


class Platform:
    """The live path with a clock that the test turns."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis, own: FunctionFeatures) -> None:
        self.now_ms = START * 1000
        self._store = store
        self._vectors = PublishedVectors(redis)
        self._publisher = FeaturePublisher(
            store, redis, lambda: self.now_ms / 1000, FACTS.__getitem__, lambda: own
        )

    async def take_in(self, came: Came) -> None:
        append(
            self._store,
            telemetry_of(came.rows),
            source=came.source,
            known_ms=START * 1000 + came.at_ms,
        )

    async def publish(self, came: Came) -> None:
        entities = sorted({entity for entity, _ in came.rows})
        await self._publisher.publish(entities, CADENCE, START * 1000 + came.at_ms)

    async def serve(self, entity: str) -> Features:
        found = await self._vectors.read([entity])
        return READING.read(found, self.now_ms / 1000)

    async def correct(self, mapping: Corrected) -> None:
        note_mapping(
            self._store,
            mapping.source,
            "{}",
            since_ms=START * 1000 + mapping.at_ms,
            ended=mapping.ended,
        )


async def live(
    store: EmbeddedClickhouse,
    url: str,
    own: FunctionFeatures,
    came: Sequence[Came],
    corrected: Sequence[Corrected],
    asked: Sequence[tuple[str, int]],
) -> list[Features]:
    """Let time go by, and give what was served to each question."""
    redis = open_redis(url)
    try:
        await redis.flushdb()
        platform = Platform(store, redis, own)
        events: list[tuple[int, int, Came | Corrected | int]] = [
            (each.at_ms, 0, each) for each in came
        ]
        events += [(each.at_ms, -1, each) for each in corrected]
        events += [(each.at_ms + each.lag_ms, 1, each) for each in came if not each.past]
        events += [(at_ms, 2, place) for place, (_, at_ms) in enumerate(asked)]
        answers: dict[int, Features] = {}
        for at_ms, kind, what in sorted(events, key=lambda each: each[:2]):
            platform.now_ms = START * 1000 + at_ms
            if isinstance(what, Corrected):
                await platform.correct(what)
            elif isinstance(what, Came):
                await (platform.publish(what) if kind else platform.take_in(what))
            else:
                answers[what] = await platform.serve(asked[what][0])
        return [answers[place] for place in range(len(asked))]
    finally:
        await redis.aclose()


@pytest.fixture
def kept(tmp_path: Path) -> KeptModules:
    found = KeptModules(tmp_path / "functions")
    found.keep(MODULE)
    return found


@pytest.fixture
def own(kept: KeptModules) -> Iterator[FunctionFeatures]:
    """Give the functions of the live path, which has a process of its own."""
    with closing(Functions(kept, lambda: SECONDS)) as functions:
        yield FunctionFeatures(CATALOGUE, functions)


@pytest.fixture
def later(kept: KeptModules) -> Iterator[Functions]:
    with closing(Functions(kept, lambda: SECONDS, must_give=True)) as functions:
        yield functions


@given(_came, _corrected, _asked)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_row_is_what_was_served_at_its_moment(
    measured: EmbeddedClickhouse,
    redis_server: RedisServer,
    own: FunctionFeatures,
    later: Functions,
    came: list[Came],
    corrected: list[Corrected],
    asked: list[tuple[str, int, int]],
) -> None:
    measured.execute("TRUNCATE TABLE measurements")
    measured.execute("TRUNCATE TABLE publications")
    measured.execute("TRUNCATE TABLE measurement_mappings")
    questions = [(entity, at + later) for entity, at, later in asked]
    lived = asyncio.run(live(measured, redis_server.url, own, came, corrected, questions))
    measured.execute("OPTIMIZE TABLE measurements FINAL")
    spine = Spine(
        np.array([entity for entity, _ in questions]),
        np.array([START * 1000 + at_ms for _, at_ms in questions]),
    )
    wanted = Wanted(CATALOGUE, NAMES, FACTS.__getitem__, later)
    rows = 0
    for made in Builder(measured, wanted, spine).made():
        for at, place in enumerate(made.places.tolist()):
            if not made.served.found[at]:
                assert not np.isfinite(lived[place].values).any()
                continue
            rows += 1
            for name, mine, theirs in zip(
                made.features.names, made.features.values[at], lived[place].values[0], strict=True
            ):
                np.testing.assert_array_equal(mine, theirs, err_msg=f"{questions[place]} {name}")
            for part in ("event_time", "known_time", "stale"):
                mine, theirs = getattr(made.features, part)[at], getattr(lived[place], part)[0]
                np.testing.assert_array_equal(mine, theirs, err_msg=part)
            known = made.features.known_time[at]
            assert (known[np.isfinite(known)] <= spine.at_ms[place] / 1000).all()
