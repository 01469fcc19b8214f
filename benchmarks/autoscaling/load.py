"""Load that comes in a step: a few clients all along, and many more of one kind for a while.

A client sends one request after the other, obeys Retry-After, and sends again what was not
acknowledged. Points of streams are numbered, so that what is sent twice is counted once.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from benchmarks.chaos.books import Books, Counted
from benchmarks.chaos.client import Client, Json

POINTS_A_BODY = 10
VALUES_A_BODY = 2_000
CALM_PACE_SECONDS = 0.25
STREAM_KIND = "anomaly"


@dataclass(frozen=True, slots=True)
class Step:
    """What many clients ask at once, and the deployment that it is work for."""

    kind: str
    clients: int
    deployment: str


# Points of streams are work for replicas that hold state, fits of extremes for any.
STEPS = (Step(STREAM_KIND, 24, "anomaly"), Step("extreme-events", 24, "tail"))
# So many clients of each kind ask all along.
CALM: Mapping[str, int] = {"tail-slo": 2, STREAM_KIND: 2}


class StepLoad:
    """All clients of one run; names of streams begin with its own prefix."""

    def __init__(self, client: Client, books: Books, prefix: str) -> None:
        self._client, self._books, self._prefix = client, books, prefix
        self._streams = 0
        self._calm = asyncio.Event()
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for kind, clients in CALM.items():
            self._begin(kind, clients, self._over, CALM_PACE_SECONDS)

    def rise(self, step: Step) -> None:
        self._calm = asyncio.Event()
        self._begin(step.kind, step.clients, self._calm, 0.0)

    def fall(self) -> None:
        """Let the clients of the step finish what they have begun."""
        self._calm.set()

    async def end(self, within_s: float) -> int:
        """Let everybody finish; tell how many could not."""
        self._calm.set()
        self._over.set()
        _, slow = await asyncio.wait(self._tasks, timeout=within_s)
        self._client.give_up()
        await asyncio.gather(*self._tasks)
        return len(slow)

    def _begin(self, kind: str, clients: int, until: asyncio.Event, pace_s: float) -> None:
        bodies: dict[str, Callable[[], Iterator[Json]]] = {
            "tail-slo": self._tail,
            STREAM_KIND: self._points,
            "extreme-events": self._extremes,
        }
        self._tasks += [
            asyncio.create_task(self._ask_on(kind, bodies[kind](), until, pace_s))
            for _ in range(clients)
        ]

    async def _ask_on(
        self, kind: str, bodies: Iterator[Json], until: asyncio.Event, pace_s: float
    ) -> None:
        while not until.is_set():
            await self._ask(kind, next(bodies))
            await asyncio.sleep(pace_s)

    async def _ask(self, kind: str, body: Json) -> None:
        answer = await self._client.send(kind, "POST", f"/models/{kind}", body)
        points = self._counted(body["stream"]) if kind == STREAM_KIND else Counted()
        if answer is None or answer.status != HTTPStatus.OK:
            points.unsure += POINTS_A_BODY
            return
        points.acknowledged += POINTS_A_BODY
        meta = orjson.loads(answer.body)["meta"]
        self._books.receive(kind, meta["decision_id"], degraded=meta["degraded"])

    def _counted(self, stream: str) -> Counted:
        return self._books.observations.setdefault((STREAM_KIND, stream), Counted())

    def _draws(self) -> random.Random:
        self._streams += 1
        return random.Random(self._streams)  # noqa: S311 - bodies, not secrets

    def _tail(self) -> Iterator[Json]:
        draw = self._draws()
        while True:
            yield {"entity": "order-gateway", "load": draw.uniform(0.2, 0.9), "slo_ms": 250}

    def _points(self) -> Iterator[Json]:
        draw, sequence = self._draws(), 0
        stream = f"{self._prefix}/{self._streams}"
        while True:
            points = [[draw.gauss(0, 1) for _ in range(3)] for _ in range(POINTS_A_BODY)]
            yield {"stream": stream, "points": points, "sequence": sequence}
            sequence += POINTS_A_BODY

    def _extremes(self) -> Iterator[Json]:
        draw = self._draws()
        while True:
            yield {"values": [round(draw.paretovariate(3), 4) for _ in range(VALUES_A_BODY)]}
