"""Rows of one stream in one body: taken together, and answered as they would be one by one."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest

from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.handler import StreamHandler
from deployments.anomaly.points import PointHandler
from deployments.anomaly.regime import RegimeHandler
from deployments.anomaly.stream import Stream
from deployments.runtime.state.handler import Reply, StateRequest

Ask = Any  # of either kind of stream


def of(alarms_per_day: float) -> StreamsConfig:
    return StreamsConfig(alarms_per_day=alarms_per_day)


OFTEN = of(1e6)


def clock() -> float:
    return 1_000.0


def regime() -> RegimeHandler:
    return RegimeHandler(AlarmBudget(0.0), clock)


def points() -> PointHandler:
    return PointHandler(AlarmBudget(0.0), clock)


class Followed:
    """Streams of one handler, and what they answered."""

    def __init__(self, handler: StreamHandler[Any, Any, Any]) -> None:
        self.handler = handler
        self.streams: dict[str, Stream] = {}
        self.calls = 0
        advance = handler.advance

        def counted(rows: Any) -> Any:
            self.calls += 1
            return advance(rows)

        handler.advance = counted  # type: ignore[method-assign] # it only counts

    def ask(self, asks: Sequence[tuple[str, Ask]], first: int) -> list[Reply]:
        rows = []
        for at, (name, ask) in enumerate(asks):
            stream = self.streams.setdefault(name, self.handler.fresh(name))
            rows.append((stream, StateRequest(name, f"id-{first + at}", ask, settings=OFTEN)))
        return self.handler.answer(rows)


@pytest.mark.parametrize("make", [regime, points])
def test_the_budget_that_a_batch_shares_is_that_of_its_own_version(make: Any) -> None:
    shares = []
    for alarms_per_day in (1.0, 24.0):
        handler = make()
        handler._alarm_budget = AlarmBudget(clock() - 30.0)
        values = [1.0, 2.0] if handler.kind == "regime" else [[1.0], [2.0]]
        asked = StateRequest(
            "s", "1", {"op": "observe", "values": values}, settings=of(alarms_per_day)
        )
        (reply,) = handler.answer([(handler.fresh("s"), asked)])
        shares.append(reply.event[7])
    assert shares == pytest.approx([30 / 86_400 / 2, 24 * 30 / 86_400 / 2])


def bytes_of(reply: Reply) -> bytes:
    """Give all of a reply but its share of the budget, which depends on the batch."""
    event = reply.event and [*reply.event[:7], *reply.event[8:]]
    said = [reply.columns, reply.detail, event, reply.refusal, reply.notices]
    return orjson.dumps(said)


def values(draw: random.Random, n: int, kind: str) -> list[Any]:
    # Jumps and spikes make the segmentation turn often.
    numbers = [draw.choice([0.0, 0.0, 9.0]) + draw.gauss(0, 1) for _ in range(n)]
    return numbers if kind == "regime" else [[each, draw.gauss(0, 1)] for each in numbers]


def body(draw: random.Random, kind: str) -> list[tuple[str, Ask]]:
    rows: list[tuple[str, Ask]] = []
    at = {"a": 0, "b": 0}
    for _ in range(draw.randint(1, 60)):
        name = draw.choice("aaab")
        if draw.random() < 0.05:
            rows.append((name, {"op": "show"}))
            continue
        size = draw.choice([1, 1, 1, 2, 3, 40])
        ask: Ask = {"op": "observe", "values": values(draw, size, kind)}
        if draw.random() < 0.5:
            ask["ts"] = [at[name] + step for step in range(size)]
        if draw.random() < 0.3:
            ask["sequence"] = max(at[name] - draw.choice([0, 0, 1, size]), 0)
        at[name] += size
        if draw.random() < 0.05 and kind == "points":
            ask["values"] = [[1.0]]  # does not fit
        rows.append((name, ask))
    return rows


@pytest.mark.parametrize("kind", ["regime", "points"])
@pytest.mark.parametrize("seed", range(4))
def test_rows_together_are_answered_as_one_by_one_to_the_bit(kind: str, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test
    make = regime if kind == "regime" else points
    together, apart = Followed(make()), Followed(make())
    # The budget has the same share for every observation, whatever batch it comes in.
    for each in (together, apart):
        each.handler._alarm_budget.share = lambda *_: 0.01  # type: ignore[method-assign]
    count = 0
    for _ in range(8):
        asks = body(draw, kind)
        found = together.ask(asks, count)
        expected = [apart.ask([ask], count + at)[0] for at, ask in enumerate(asks)]
        assert [bytes_of(each) for each in found] == [bytes_of(each) for each in expected]
        count += len(asks)
    for name, stream in together.streams.items():
        assert together.handler.encode(stream) == apart.handler.encode(apart.streams[name])
    assert together.calls < apart.calls / 2


@pytest.mark.parametrize("kind", ["regime", "points"])
def test_a_log_is_replayed_together_to_the_same_bits(kind: str) -> None:
    draw = random.Random(7)  # noqa: S311 - a test
    make = regime if kind == "regime" else points
    followed, events = Followed(make()), dict[str, list[Any]]()
    for turn in range(6):
        asks = body(draw, kind)
        replies = followed.ask(asks, turn * 100)
        for (name, _), reply in zip(asks, replies, strict=True):
            if reply.event is not None:
                events.setdefault(name, []).append(orjson.loads(orjson.dumps(reply.event)))
    back = Followed(make())
    tails = [(back.handler.fresh(name), told) for name, told in events.items()]
    back.handler.replay(tails)
    assert back.calls == 1
    for stream, _ in tails:
        kept = followed.handler.encode(followed.streams[stream.name])
        assert back.handler.encode(stream) == kept


def test_a_thousand_rows_of_one_stream_are_few_calls() -> None:
    followed = Followed(regime())
    numbers = np.random.default_rng(1).normal(size=1_000).tolist()
    found = followed.ask([("a", {"op": "observe", "values": [each]}) for each in numbers], 0)
    assert [reply.columns["run_length"] for reply in found][-1] > 100
    assert followed.calls < 50  # it takes 16 to learn the scale, and then 64 rows at a time
