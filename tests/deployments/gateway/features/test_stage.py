from deployments.api.tail import FEATURES
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.waiting import until

BODY = {"entity": "order-gateway", "load": 0.5}


async def test_the_cache_is_counted(house: House) -> None:
    await house.ask(BODY)
    await house.ask(BODY, BODY, BODY | {"entity": "settlement"})
    (stage,) = house.replicas["features"]
    registry = stage.replica.metrics.registry
    # Entities, each once a batch: a miss the first time, a hit from then on.
    assert registry.get_sample_value("feature_cache_misses_total") == 2.0
    assert registry.get_sample_value("feature_cache_hits_total") == 1.0
    assert set((await house.ledger())[0]["features"]) == set(FEATURES)


async def test_loops_that_need_redis_fail_while_it_is_away_and_work_again_after(
    house: House, redis_server: RedisServer
) -> None:
    often = house.document.features.model_copy(update={"refresh_seconds": 0.05})
    await house.deploy(house.document.model_copy(update={"features": often}))
    await house.ask(BODY)  # from now on there is something to refresh
    (stage,) = house.replicas["features"]
    needing = {
        "refresh features": stage.replica.loops,
        "share rates": house.context.replica.loops,
    }
    redis_server.kill()
    for name, loops in needing.items():
        await until(lambda name=name, loops=loops: loops.failures()[name] > 0)  # type: ignore[misc] # bound now
    (answer,) = await house.ask(BODY)
    assert not answer["safety"]["fallback"]
    redis_server.start()
    ages = {name: loops.ages()[name] for name, loops in needing.items()}
    for name, loops in needing.items():
        await until(lambda name=name, loops=loops: loops.ages()[name] < ages[name])  # type: ignore[misc] # bound now
