"""A full fleet that is measured every fifteen seconds: what a platform is fed while it answers."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event

import httpx
import orjson
from redis.asyncio import Redis

from benchmarks.abuse.victim import new_key
from benchmarks.platform import Platform, eventually
from benchmarks.speed.servers import ServerError
from config_store.document import TelemetryStreams
from features.telemetry.judged import read_judged

SOURCE, CADENCE = "fleet", 15
ENTITIES = TelemetryStreams().most_entities
"""As many as streams follow; each of them has a stream for each metric."""
PATIENCE_SECONDS = 900.0
NOT_ALL = -1
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Fleet:
    """The services of a platform, and the key that may post what is measured of them."""

    platform: Platform
    key: str

    @property
    def entities(self) -> list[str]:
        return [f"service-{at:04}" for at in range(ENTITIES)]

    def post(self, begin: int) -> None:
        """Post one interval of all."""
        answer = httpx.post(
            f"{self.platform.url}/telemetry",
            params={"source": SOURCE},
            headers={"X-API-Key": self.key},
            content=rows_of(self.entities, begin),
            timeout=ANSWER_SECONDS,
        )
        if answer.status_code != httpx.codes.ACCEPTED:
            raise ServerError(f"the fleet's rows were answered {answer.status_code}: {answer.text}")

    def is_followed_to(self, begin: int) -> bool:
        """Tell whether the streams of the whole fleet have taken an interval in, or a later one."""
        return asyncio.run(self._followed_to()) >= begin

    async def _followed_to(self) -> int:
        async with Redis(unix_socket_path=self.platform.redis) as redis:
            judged = await read_judged(redis, self.entities)
        if len(judged) < ENTITIES:
            return NOT_ALL
        return min(each.event_time for each in judged.values())


def rows_of(entities: list[str], begin: int) -> bytes:
    """Write what was measured of an interval; by its time, so that no two are alike."""
    rng = random.Random(begin)  # noqa: S311 - telemetry, not secrets
    return orjson.dumps([_row(entity, begin, rng) for entity in entities])


def _row(entity: str, begin: int, rng: random.Random) -> dict[str, str | float]:
    slow = rng.lognormvariate(3.0, 0.3)
    return {
        "entity": entity,
        "ts": begin,
        "request_rate": rng.uniform(50, 1_500),
        "error_rate": rng.random() * 0.01,
        "load": rng.uniform(0.2, 0.9),
        "infra": rng.uniform(0.1, 0.6),
        "cpu": rng.uniform(0.1, 0.9),
        "active_workers": 8.0,
        "p50_ms": slow / 4,
        "p95_ms": slow / 1.5,
        "p99_ms": slow,
    }


def last_over(now: float) -> int:
    """Give when the last interval began that is over."""
    return int(now) // CADENCE * CADENCE - CADENCE


def connected(platform: Platform) -> Fleet:
    """Connect a fleet, and wait until all of it is known and followed."""
    words = ("connect", "push", SOURCE, "--cadence", str(CADENCE), "--yes")
    done = platform.command(*words)
    if done.returncode and "connected already" not in done.stdout + done.stderr:
        raise ServerError(f"the fleet was not connected: {done.stdout}{done.stderr}")
    fleet = Fleet(platform, new_key(platform, "the fleet"))
    eventually(lambda: _is_taken(fleet), PATIENCE_SECONDS)
    eventually(lambda: _is_followed(fleet), PATIENCE_SECONDS)
    return fleet


def _is_taken(fleet: Fleet) -> bool:
    """Post the last interval; refused until every gateway has heard of the source."""
    try:
        fleet.post(last_over(time.time()))
    except (ServerError, httpx.HTTPError):
        time.sleep(0.5)
        return False
    return True


def _is_followed(fleet: Fleet) -> bool:
    time.sleep(1.0)  # a question for all of them is work too
    return fleet.is_followed_to(0)


@contextmanager
def feeding(fleet: Fleet) -> Iterator[None]:
    """Post each interval when it is over, from a process of its own."""
    context = get_context("spawn")
    over, failed = context.Event(), context.Event()
    process = context.Process(target=_feed, args=(fleet, over, failed), daemon=True)
    process.start()
    try:
        yield
    finally:
        over.set()
        process.join()
    if failed.is_set():
        raise ServerError("the fleet's rows were not taken while requests were served")


def _feed(fleet: Fleet, over: Event, failed: Event) -> None:
    fed = last_over(time.time())
    while not over.wait(0.05):
        if (begin := last_over(time.time())) > fed:
            try:
                fleet.post(begin)
            except (ServerError, httpx.HTTPError):
                failed.set()
                return
            fed = begin
