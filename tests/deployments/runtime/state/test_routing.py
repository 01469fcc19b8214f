from collections import Counter
from typing import Any

import numpy as np
import pytest

from deployments.runtime.batch import Batch, Prediction, Refusal
from deployments.runtime.state.routing import ByKey, holder, together
from deployments.runtime.state.tags import key_by_tag, tag, tagged
from deployments.runtime.transport.base import ReplicaLostError
from deployments.runtime.transport.frame import Frame

KEYS = [f"stream-{n}" for n in range(3000)]
THREE = [("10.0.0.1", 7001), ("10.0.0.1", 7002), ("10.0.0.2", 7001)]
ID = "018f0f2e-7b1c-7abc-9def-0123456789ab"


def test_keys_spread_evenly_over_replicas() -> None:
    shares = Counter(holder(key, THREE) for key in KEYS)
    assert all(abs(share - 1000) < 120 for share in shares.values())


def test_a_lost_replica_moves_only_its_own_keys() -> None:
    before = {key: holder(key, THREE) for key in KEYS}
    after = {key: holder(key, THREE[:2]) for key in KEYS}
    moved = [key for key in KEYS if before[key] != after[key]]
    assert moved == [key for key in KEYS if before[key] == THREE[2]]


def test_the_order_in_which_replicas_were_found_does_not_matter() -> None:
    assert all(holder(key, THREE) == holder(key, THREE[::-1]) for key in KEYS[:100])


@pytest.mark.parametrize("key", ["a", "venue/routes:1", "x" * 128])
def test_a_decision_leads_to_the_replica_of_its_key(key: str) -> None:
    decision = tagged(ID, key)
    assert len(decision) == len(ID)
    assert tag(key_by_tag(decision)) == tag(key)
    assert holder(key_by_tag(decision), THREE) == holder(key, THREE)


def test_answers_of_several_holders_come_back_in_place() -> None:
    first = Prediction({"x": np.array([1.0, 2.0])}, "m", "1", [{"data": {"n": 1}}, None])
    why: Refusal = {"code": "invalid", "message": "no"}
    second = Prediction({"x": np.array([3.0])}, "m", "1", [], {0: why})
    whole = together([([2, 0], first), ([1], second)], 3)
    assert whole.columns["x"].tolist() == [2.0, 3.0, 1.0]
    assert whole.details == [None, None, {"data": {"n": 1}}]
    assert whole.refusals == {1: why}


def test_a_batch_goes_in_parts() -> None:
    columns = {"x": np.array([1.0, 2.0, 3.0])}
    part = Batch("f", ["a", "b", "c"], columns, [1, 2, 3], ["k", "l", "m"], ["i", "j", "h"])
    assert part.take([2, 0]).keys == ["m", "k"]
    assert part.take([2, 0]).columns["x"].tolist() == [3.0, 1.0]


class Holders:
    """Two holders that are lost when they are asked, and one that is there afterwards."""

    def __init__(self) -> None:
        self.gone = {THREE[0]: Lost(), THREE[1]: Lost()}

    def responsive(self, _: str) -> dict[Any, Any]:
        left = {address: each for address, each in self.gone.items() if not each.asked}
        return left or {THREE[2]: Echo()}


class Lost:
    asked = False

    async def call(self, _: Frame) -> Frame:
        self.asked = True
        raise ReplicaLostError("gone")


class Echo:
    """Answers each row with what it asked."""

    async def call(self, frame: Frame) -> Frame:
        found = Prediction(dict(frame.columns), "m", "1").to_frame()
        found.head["version"] = frame.head["version"]
        return found


async def test_rows_of_two_lost_holders_are_answered_in_place_by_a_third() -> None:
    keys = [f"stream-{n}" for n in range(8)]
    mixed = [holder(key, THREE[:2]) for key in keys]
    assert mixed != sorted(mixed)  # or their rows would be in order by themselves
    values = np.arange(8.0)
    exchange: Any = Holders()
    ids = [tagged(ID, key) for key in keys]
    batch = Batch("f", keys, {"x": values}, keys=keys, ids=ids, version=1, config_hash="h")
    answer = await ByKey("anomaly", exchange, lambda: 0.0)(batch, 5.0)
    assert answer.columns["x"].tolist() == values.tolist()
