import numpy as np

from deployments.telemetry.events import deploys


def test_each_marked_interval_is_an_event_and_the_same_one_the_next_time() -> None:
    ts = np.array([60, 120, 120], dtype=np.int64)
    entity = np.array(["orders", "orders", "quotes"])
    deploy = np.array([0, 1, 1], dtype=np.int8)
    found = deploys("prod", ts, entity, deploy)
    assert [(each.time, each.entity, each.source) for each in found] == [
        (120.0, "orders", "prod"),
        (120.0, "quotes", "prod"),
    ]
    assert [each.id for each in deploys("prod", ts, entity, deploy)] == [each.id for each in found]
    assert deploys("prod", ts, entity, np.zeros(3, dtype=np.int8)) == []
