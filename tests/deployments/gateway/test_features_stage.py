from deployments.api.tail import FEATURES
from tests.deployments.house import House

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
