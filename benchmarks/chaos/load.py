"""Mixed load: every kind of request, each client at its own pace, one request after the other."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
import orjson

from benchmarks.chaos.books import Books, Counted
from benchmarks.chaos.client import Client, Json
from benchmarks.chaos.undisturbed import Feed

SERVICES = ("order-gateway", "pricing", "auth")
ARMS = ("incumbent", "small", "large")
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
TRIALS_A_STUDY = 30
# What comes of a request whose first answer was lost: its reward or outcome was counted already, or
# its stream is deleted already.
COUNTED, GONE = HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND
OBSERVATIONS_A_LIFE = 40  # of the stream that is deleted and begun anew


@dataclass(frozen=True, slots=True)
class Pace:
    """How many clients ask one kind of request, and how often each in a second."""

    clients: int
    rate: float


PACES = {
    "tail-slo": Pace(4, 8.0),
    "capacity-planning": Pace(2, 4.0),
    "extreme-events": Pace(2, 3.0),
    "regime-detection": Pace(4, 6.0),
    "anomaly": Pace(3, 6.0),
    "bandit": Pace(3, 3.0),
    "bayes-opt": Pace(2, 0.8),
    "decisions": Pace(2, 4.0),
    "begun-anew": Pace(1, 6.0),
}


class Load:
    """All clients of a campaign; names begin with its own prefix, for homes are used again."""

    def __init__(self, client: Client, books: Books, prefix: str, seed: int) -> None:
        self._client, self._books, self._prefix, self._seed = client, books, prefix, seed
        self._stop = asyncio.Event()
        self.feeds: list[Feed] = []

    def start(self, kinds: Collection[str] = PACES.keys()) -> list[asyncio.Task[None]]:
        turns: dict[str, Callable[[int], Iterator[Awaitable[object]]]] = {
            "tail-slo": self._tail,
            "capacity-planning": self._capacity,
            "extreme-events": self._extremes,
            "regime-detection": self._regime,
            "anomaly": self._anomaly,
            "bandit": self._bandit,
            "bayes-opt": self._study,
            "decisions": self._decisions,
            "begun-anew": self._begun_anew,
        }
        return [
            asyncio.create_task(self._go_on(turns[name](number), pace.rate))
            for name, pace in PACES.items()
            if name in kinds
            for number in range(pace.clients)
        ]

    def stop(self) -> None:
        """Let every client finish what it has begun."""
        self._stop.set()

    async def _go_on(self, turns: Iterator[Awaitable[object]], rate: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stop.is_set():
            await next(turns)
            due = max(due + 1 / rate, loop.time())  # what was missed is not made up for
            await asyncio.sleep(due - loop.time())

    def _draws(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{self._seed} {kind} {number}")  # noqa: S311 - bodies, not secrets

    async def _infer(self, endpoint: str, path: str, body: Json, *accepted: int) -> Json | None:
        """Give the answer's content, empty of one that is merely accepted; None without any."""
        answer = await self._client.send(endpoint, "POST", path, body, accepted=accepted)
        if answer is None or answer.status != HTTPStatus.OK:
            return None if answer is None else {}
        content: Json = orjson.loads(answer.body)
        meta, fallback = content["meta"], content["safety"]["fallback"]
        degraded = meta["degraded"] or fallback
        self._books.receive(endpoint, meta["decision_id"], degraded=degraded)
        return content

    def _tail(self, number: int) -> Iterator[Awaitable[object]]:
        draw = self._draws("tail", number)
        while True:
            body = {"entity": draw.choice(SERVICES), "load": draw.uniform(0, 1.2), "slo_ms": 25}
            yield self._infer("tail-slo", "/models/tail-slo", body)

    def _capacity(self, number: int) -> Iterator[Awaitable[object]]:
        draw = self._draws("capacity", number)
        while True:
            body = {
                "entity": draw.choice(SERVICES),
                "ingest_rate": draw.uniform(50, 4000),
                "cpu": draw.uniform(0.1, 0.9),
                "p99": draw.uniform(2, 200),
            }
            yield self._infer("capacity-planning", "/models/capacity-planning", body)

    def _extremes(self, number: int) -> Iterator[Awaitable[object]]:
        draw = self._draws("extremes", number)
        while True:
            values = [round(draw.paretovariate(3), 4) for _ in range(500)]
            yield self._infer("extreme-events", "/models/extreme-events", {"values": values})
            body = {"entity": draw.choice(SERVICES), "metric": "p99_ms"}
            yield self._infer("extreme-events", "/models/extreme-events", body)

    def _regime(self, number: int) -> Iterator[Awaitable[object]]:
        feed = self._feed("regime", f"{self._prefix}/regime-{number}")
        draw = np.random.default_rng([self._seed, 1, number])
        while True:
            level = 20.0 + 6.0 * (len(feed.sent) // 400 % 2)
            yield self._observe(feed, "regime-detection", float(draw.normal(level, 1.0)))

    def _anomaly(self, number: int) -> Iterator[Awaitable[object]]:
        feed = self._feed("anomaly", f"{self._prefix}/anomaly-{number}")
        draw = np.random.default_rng([self._seed, 2, number])
        while True:
            yield self._observe(feed, "anomaly", draw.normal(size=3).tolist())

    def _feed(self, kind: str, stream: str) -> Feed:
        feed = Feed(kind, stream)
        self.feeds.append(feed)
        return feed

    async def _observe(self, feed: Feed, endpoint: str, value: Any) -> None:
        counted = self._books.observations.setdefault((feed.kind, feed.stream), Counted())
        content = await self._infer(endpoint, f"/models/{endpoint}", feed.body(value))
        if content is None:
            counted.unsure += 1
            return
        counted.acknowledged += 1
        feed.take(value, content["data"])

    def _bandit(self, number: int) -> Iterator[Awaitable[object]]:
        experiment, draw = f"{self._prefix}/experiment-{number}", self._draws("bandit", number)
        while True:
            yield self._decide(experiment, draw)

    async def _decide(self, experiment: str, draw: random.Random) -> None:
        counted = self._books.rewards.setdefault(experiment, Counted())
        body = {"experiment": experiment, "arms": ARMS, "context": {"load": draw.random()}}
        content = await self._infer("bandit", "/models/bandit", body)
        if content is None or content["safety"]["fallback"]:
            return  # an arm that a fallback gave is in no experiment
        feedback = {"decision_id": content["meta"]["decision_id"], "reward": draw.random()}
        path = "/models/bandit/feedback"
        learnt = await self._infer("bandit-feedback", path, feedback, COUNTED)
        counted.acknowledged += learnt is not None
        counted.unsure += learnt is None

    def _study(self, number: int) -> Iterator[Awaitable[object]]:
        trials = 0
        while True:
            yield self._try(f"{self._prefix}/study-{number}-{trials // TRIALS_A_STUDY}")
            trials += 1

    async def _try(self, study: str) -> None:
        counted = self._books.trials.setdefault(study, Counted())
        content = await self._infer(
            "bayes-opt", "/models/bayes-opt", {"study": study, "space": SPACE}
        )
        if content is None:
            return
        data = content["data"]
        value = (data["parameters"]["x"] - 0.3) ** 2
        body = {"study": study, "trial_id": data["trial_id"], "value": value}
        learnt = await self._infer("bayes-opt-tell", "/models/bayes-opt/tell", body, COUNTED)
        counted.acknowledged += learnt is not None
        counted.unsure += learnt is None

    def _decisions(self, number: int) -> Iterator[Awaitable[object]]:
        draw = self._draws("decisions", number)
        while True:
            yield self._look_up(draw)

    async def _look_up(self, draw: random.Random) -> None:
        received = list(self._books.received)
        if not received:
            return
        path = f"/decisions/{draw.choice(received)}"
        if await self._client.send("decisions", "GET", path) is not None:
            self._books.receive("decisions", None, degraded=False)

    def _begun_anew(self, number: int) -> Iterator[Awaitable[object]]:
        stream, draw = f"{self._prefix}/anew-{number}", self._draws("anew", number)
        while True:
            life = Counted()
            for sequence in range(OBSERVATIONS_A_LIFE):
                yield self._live(stream, sequence, draw.gauss(0, 1), life)
            yield self._end_life(stream, life)

    async def _live(self, stream: str, sequence: int, value: float, life: Counted) -> None:
        body = {"stream": stream, "sequence": sequence, "values": [value]}
        content = await self._infer("begun-anew", "/models/regime-detection", body)
        life.acknowledged += content is not None
        life.unsure += content is None

    async def _end_life(self, stream: str, life: Counted) -> None:
        shown = await self._client.send("streams", "GET", f"/streams/{stream}")
        if shown is None:
            return
        found = orjson.loads(shown.body)["regime"]["observations"]
        self._books.lives.append((life, found))
        await self._client.send("streams", "DELETE", f"/streams/{stream}", accepted=[GONE])
