"""A platform without a tail model starts, answers by the fallback, and takes the first one up."""

import math
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

import deployments.tail.deployment
from config_store.alias_follower import AliasFollower
from config_store.pinning import pinned
from features.rows import FeatureRow
from features.store import publish
from models.tail.xgboost_quantile import TailModel
from tests.deployments.gateway.conftest import crown, prepared_house, stand_in_for_a_cluster
from tests.deployments.gateway.rollouts import judged_until
from tests.deployments.gateway.steering.test_pinned_models import look_for_champions, somebody
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
    async with prepared_house(redis, known) as house:
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


async def test_the_first_model_is_pinned_by_a_version_that_comes_into_force_by_itself(
    young_house: House, tail_model: TailModel
) -> None:
    models = young_house.context.settings.paths.models
    first = await young_house.deploy(pinned(young_house.document, models))
    crown(young_house.context.settings.home, tail_model)
    await look_for_champions(young_house)
    (answer,) = await young_house.ask(BODY)
    assert (answer["safety"]["fallback"], answer["meta"]["config_version"]) == (True, first)
    await AliasFollower(young_house.redis, models, time.time, somebody).step()
    await judged_until(young_house, first + 1)
    (answer,) = await young_house.ask(BODY)
    assert (answer["safety"]["fallback"], answer["meta"]["model_version"]) == (False, "1.0.0")


async def test_what_an_entitys_telemetry_does_not_have_is_missing_and_not_invented(
    house: House,
) -> None:
    values = {"request_rate": 900.0, "active_workers": 4.0, "load": math.nan, "infra": math.nan}
    values |= {"error_rate": 0.001, "baseline_ms": 12.0, "baseline_rate": 800.0}
    await publish(house.redis, [("checkout", FeatureRow(values, time.time() - 60))])
    measured, unknown = await house.ask(
        {"entity": "checkout", "error_rate": 0.002}, {"entity": "nobody", "error_rate": 0.002}
    )
    assert measured["meta"]["features"]["missing"] == ["load", "infra"]
    assert measured["meta"]["features"]["assumed"] == []
    assert measured["safety"]["fallback"] is False
    assert measured["data"]["autoscale_workers"] == 4
    named = {each["rule"] for each in measured["safety"]["violations"]}
    assert named >= {"finite:load", "finite:infra"}
    assert unknown["meta"]["features"]["missing"] == []
    assert {"load", "infra"} <= set(unknown["meta"]["features"]["assumed"])
