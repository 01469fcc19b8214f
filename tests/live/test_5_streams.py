"""Streams outlive the replica that holds them: kills in mid-stream change no bit."""

import asyncio
import json
import os
import signal
from typing import Any
from zlib import crc32

import httpx
import numpy as np
import pytest

from benchmarks.chaos.undisturbed import Feed, differing
from models.anomaly.fleet import FleetLayout
from models.anomaly.streams import AnomalyStreams
from tests.effort import tries
from tests.live.conftest import Live, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]

KILLS = tries(5, long=10)
FLEET = FleetLayout(8, (1.0, 0.5, 0.5))
FLEET_MINUTES, AT_FAULT = 600, 5
HOLDER = "ServeReplica:ballast:anomaly"
PATHS = {"regime": "/models/regime-detection", "anomaly": "/models/anomaly"}


class Feeder:
    """Sends a stream's observations one after the other, each until it is acknowledged."""

    def __init__(self, live: Live, kind: str, stream: str, **begun: Any) -> None:
        self._live, self._kind, self._stream, self._begun = live, kind, stream, begun
        self.answers: list[dict[str, Any]] = []
        self.refused = 0
        self.stop = asyncio.Event()
        self._answered = asyncio.Condition()

    async def reached(self, answers: int) -> None:
        """Wait until the stream goes on."""
        async with self._answered:
            await self._answered.wait_for(lambda: len(self.answers) >= answers)

    async def feed(self, client: httpx.AsyncClient, values: list[Any]) -> None:
        name = "values" if self._kind == "regime" else "points"
        for at, value in enumerate(values):
            if self.stop.is_set():
                return
            body = {"stream": self._stream, "sequence": at, name: [value], **self._begun}
            self.answers.append(await self._sent(client, json.dumps(body)))
            async with self._answered:
                self._answered.notify_all()
            await asyncio.sleep(0.01)

    async def _sent(self, client: httpx.AsyncClient, body: str) -> dict[str, Any]:
        while True:
            answer = await client.post(PATHS[self._kind], content=body)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            assert answer.status_code == 503, answer.text
            assert "retry-after" in answer.headers
            self.refused += 1
            await asyncio.sleep(0.05)


async def kill_holder(live: Live) -> None:
    (victim, *_) = live.pids(HOLDER)
    os.kill(victim, signal.SIGKILL)
    await asyncio.to_thread(eventually, lambda: bool(set(live.pids(HOLDER)) - {victim}))


async def test_kills_in_mid_stream_change_no_bit(live: Live) -> None:
    draw = np.random.default_rng(8)
    values = [*draw.normal(20, 1, 6000), *draw.normal(26, 2, 6000)]
    points = draw.normal(size=(12_000, 3))
    regime, anomaly = Feeder(live, "regime", "quaked"), Feeder(live, "anomaly", "quaked")
    headers = {"X-API-Key": live.key}
    async with httpx.AsyncClient(base_url=live.url, headers=headers, timeout=30) as client:
        feeding = [
            asyncio.create_task(regime.feed(client, [float(each) for each in values])),
            asyncio.create_task(anomaly.feed(client, points.tolist())),
        ]
        for _ in range(KILLS):
            wanted = len(regime.answers) + 20, len(anomaly.answers) + 20
            await kill_holder(live)
            await asyncio.gather(regime.reached(wanted[0]), anomaly.reached(wanted[1]))
        regime.stop.set()
        anomaly.stop.set()
        await asyncio.gather(*feeding)
        shown = (await client.get("/streams/quaked")).json()
    print(  # noqa: T201 - the figures are the point
        f"{KILLS} kills: {len(regime.answers)} + {len(anomaly.answers)} observations, "
        f"{regime.refused + anomaly.refused} told to come back"
    )
    assert shown["regime"]["observations"] == len(regime.answers)
    assert shown["anomaly"]["observations"] == len(anomaly.answers)
    assert shown["regime"]["missing"] == shown["anomaly"]["missing"] == 0
    assert differing(answered("regime", regime, values)) == []
    assert differing(answered("anomaly", anomaly, points.tolist())) == []


def answered(kind: str, feeder: Feeder, values: list[Any]) -> Feed:
    feed = Feed(kind, "quaked")
    for value, answer in zip(values, feeder.answers, strict=False):
        feed.take(value, answer["data"])
    return feed


async def test_the_member_of_a_fleet_at_fault_is_named_though_its_replica_is_killed(
    live: Live,
) -> None:
    values = np.random.default_rng(9).normal(size=(FLEET_MINUTES, FLEET.members, 3))
    values[-10:, AT_FAULT] += 9.0
    points = values.reshape(FLEET_MINUTES, -1)
    begun = {"detector": "fleet", "members": FLEET.members, "weights": FLEET.weights}
    feeder = Feeder(live, "anomaly", "fleet", **begun)
    headers = {"X-API-Key": live.key}
    async with httpx.AsyncClient(base_url=live.url, headers=headers, timeout=30) as client:
        feeding = asyncio.create_task(feeder.feed(client, points.tolist()))
        await feeder.reached(FLEET_MINUTES // 2)
        await kill_holder(live)
        await feeding
        shown = (await client.get("/streams/fleet")).json()["anomaly"]
        assert (await client.delete("/streams/fleet")).status_code == 204
    assert (shown["observations"], shown["missing"]) == (FLEET_MINUTES, 0)
    assert (shown["members"], shown["weights"]) == (FLEET.members, list(FLEET.weights))
    told = [answer["data"]["points"][0] for answer in feeder.answers]
    # From its second odd minute on, until half of the last fifteen minutes are odd.
    assert {point["member"] for point in told[-9:-4]} == {AT_FAULT}
    _like_an_undisturbed_fleet(told, points)


def _like_an_undisturbed_fleet(told: list[dict[str, Any]], points: np.ndarray) -> None:
    streams = AnomalyStreams(FLEET.dimensions, "fleet", roster=FLEET)
    found = streams.advance(np.full(len(told), streams.open(crc32(b"fleet"))), points, 0.0)
    for name in ("score", "p_value"):
        assert [each[name] for each in told] == getattr(found, name).tolist(), name
    assert [each["attribution"] for each in told] == found.attribution.tolist()


async def test_alarms_are_heard_by_whoever_listens(live: Live) -> None:
    headers = {"X-API-Key": live.key}
    lines: list[str] = []
    async with (
        httpx.AsyncClient(base_url=live.url, headers=headers, timeout=60) as client,
        client.stream("GET", "/streams/heard/events") as events,
    ):
        assert events.headers["content-type"].startswith("text/event-stream")
        async for line in events.aiter_lines():
            lines.append(line)
            if len(lines) > 1:
                break
    assert lines[0].startswith("retry: ")


def test_streams_are_listed(live: Live) -> None:
    with live.client() as client:
        listed = client.get("/streams", params={"prefix": "quak"}).json()
        assert listed["streams"] == ["quaked"]
        assert client.get("/streams/nobody").status_code == 404
