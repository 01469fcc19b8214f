"""Sends remote writes as a Prometheus does: several at a time, again what is told to come again."""

import asyncio
import time
from dataclasses import dataclass, field

import httpx

from benchmarks.abuse.victim import percentile
from benchmarks.intake.bodies import Body

USUAL_SHARDS = 8
ANSWER_SECONDS = 30.0
_AGAIN = (429, 503)
_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@dataclass(slots=True)
class Sent:
    """What became of the writes."""

    samples: int = 0
    answers: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    """Samples that were refused for good, or that nobody answered for."""
    late: int = 0
    """Scrapes that took longer than there was until the next one; not counting the first."""
    first_s: float = 0.0
    """What the first scrape took, whose series may all be new."""

    def ms(self, share: float) -> float:
        return round(1000 * percentile(self.answers, share), 1)

    def told_to_come_again(self) -> int:
        return sum(self.statuses.get(status, 0) for status in _AGAIN)


class Sender:
    """One sender with a client key of its own."""

    def __init__(self, url: str, key: str, source: str, shards: int) -> None:
        headers = _HEADERS | {"X-API-Key": key}
        self._shards = shards
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            params={"source": source},
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(max_connections=shards),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def scrapes(self, bodies: list[Body], every_s: float, seconds: float) -> Sent:
        """Send all series each so many seconds; as fast as they are taken where that is 0."""
        found, begun = Sent(), time.monotonic()
        number = 0
        while time.monotonic() - begun < seconds:
            since = time.monotonic()
            await self._scrape(bodies, found)
            took = time.monotonic() - since
            found.first_s = found.first_s or took
            found.late += number > 0 and 0 < every_s < took
            number += 1
            await asyncio.sleep(max(begun + number * every_s - time.monotonic(), 0))
        return found

    async def _scrape(self, bodies: list[Body], found: Sent) -> None:
        at = int(time.time() * 1000)
        waiting = iter(bodies)

        async def shard() -> None:
            for body in waiting:
                content = await asyncio.to_thread(body.at, at)
                await self._send(content, body.samples, found)

        await asyncio.gather(*(shard() for _ in range(self._shards)))

    async def _send(self, content: bytes, samples: int, found: Sent) -> None:
        while True:
            begun = time.monotonic()
            try:
                answer = await self._client.post("/api/v1/write", content=content)
            except httpx.HTTPError:
                found.lost += samples
                return
            found.answers.append(time.monotonic() - begun)
            found.statuses[answer.status_code] = found.statuses.get(answer.status_code, 0) + 1
            if answer.status_code not in _AGAIN:
                break
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
        if answer.status_code == httpx.codes.NO_CONTENT:
            found.samples += samples
        else:
            found.lost += samples
