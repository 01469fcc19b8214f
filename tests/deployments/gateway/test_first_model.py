"""A platform without a tail model starts, answers by the fallback, and takes the first one up."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

import deployments.tail.deployment
from features.rows import FeatureRow
from models.tail.xgboost_quantile import TailModel
from tests.deployments.gateway.conftest import crown, furnished, stand_in_for_a_cluster
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.waiting import until

BODY = {"entity": "order-gateway", "load": 0.6, "slo_ms": 250.0}


@pytest.fixture
async def young_house(
    tmp_path: Path,
    known: dict[str, FeatureRow],
    redis: Redis,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[House]:
    stand_in_for_a_cluster(monkeypatch, tmp_path / "young", redis_server, "fast")
    monkeypatch.setattr(deployments.tail.deployment, "LOOK_FOR_CHAMPION_SECONDS", 0.02)
    async with furnished(redis, known) as house:
        yield house


async def test_the_fallback_answers_and_says_why_until_there_is_a_champion(
    young_house: House, tail_model: TailModel
) -> None:
    (answer,) = await young_house.ask(BODY)
    assert answer["safety"]["fallback"] is True
    assert answer["meta"]["degraded"] is True
    assert "none has been trained yet" in answer["meta"]["fallback_reason"]
    assert answer["meta"]["model"] == "tail/fallback"
    (replica,) = young_house.replicas["tail"]
    named = replica.versions.active.compiled
    # Waiting for it is no failure of the loop that looks for it.
    assert replica.replica.loops.failures().get("follow the champion", 0) == 0
    crown(young_house.context.settings.home, tail_model)
    await until(lambda: replica._champions.loaded(named) is not None)
    (answer,) = await young_house.ask(BODY)
    assert answer["safety"]["fallback"] is False
    assert (answer["meta"]["model_version"], "fallback_reason" in answer["meta"]) == (
        "1.0.0",
        False,
    )
