"""A client's rows do not take the place of what another source measures."""

import math

import numpy as np
import pytest
from redis.asyncio import Redis

from config_store.sources import PushSource, RemoteWriteSource, SourcesConfig
from features.sources.source import Gathered
from features.telemetry.columns import Telemetry
from features.telemetry.intake import packed_entries
from features.telemetry.stored import between
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.deployments.telemetry.posting import Posting, a_minute, measured_of

MAPPING = {"entity": "job", "metrics": {"cpu": {"kind": "gauge", "of": {"name": "cpu"}}}}
EDGE = RemoteWriteSource.model_validate({"mapping": MAPPING})


def row_of(entity: str, **metrics: float) -> Gathered:
    columns = measured_of(entity, ts=a_minute()).telemetry.columns()
    return Gathered(
        Telemetry(**columns | {name: np.array([each]) for name, each in metrics.items()})
    )


@pytest.fixture
async def posting(measured: EmbeddedClickhouse, redis: Redis) -> Posting:
    return Posting(measured, redis)


async def test_a_posted_number_replaces_no_measured_one_unless_it_may(
    posting: Posting, measured: EmbeddedClickhouse
) -> None:
    append(measured, row_of("shop", cpu=0.5).telemetry, source="edge", known_ms=1)

    async def post(entity: str, **metrics: float) -> None:
        await posting.intake.add("cron", packed_entries(row_of(entity, **metrics)))
        await posting.drain.step()

    def found(entity: str) -> tuple[float, float]:
        rows = between(measured, a_minute(), a_minute() + 1, entities=[entity])
        return (rows.cpu[0], rows.load[0]) if len(rows) else (math.nan, math.nan)

    posting.config = SourcesConfig(named={"cron": PushSource(), "edge": EDGE})
    await post("shop", cpu=0.9, load=2.0)
    await post("shop", cpu=0.8)  # nothing of it is left
    await post("batch", cpu=0.7)
    assert found("shop") == (0.5, 2.0)
    assert found("batch")[0] == 0.7
    (complaint,) = posting.drain.by_source["cron"].complaints
    assert (complaint.fault, complaint.count) == ("duplicate", 2)
    assert "cpu of 'shop' is measured by the source 'edge'" in complaint.example
    posting.config = SourcesConfig(named={"cron": PushSource(overwrites=True), "edge": EDGE})
    await post("shop", cpu=0.9)
    assert found("shop") == (0.9, 2.0)
    # A source that is gone owns nothing.
    posting.config = SourcesConfig(named={"cron": PushSource()})
    await post("shop", cpu=0.6)
    assert found("shop") == (0.6, 2.0)
