"""Ballast as a contender: a platform of its own, and a thousand published entities in it."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event, Thread

from access.keys import Role
from benchmarks.features_speed.contender import Contender, OverHttp, Reader, refuse_other_values
from benchmarks.features_speed.subject import NAMES, OWN, SIZES, Subject, write
from benchmarks.platform import Platform, eventually, free_url
from benchmarks.speed.servers import ServerError, answers, first_answer
from benchmarks.speed.target import Target
from config_store.steering.commands import Actor, Deploy, Validated
from config_store.steering.state import Strategy
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from features import store as rows_in_redis
from features.definitions.catalogue import STORED
from features.definitions.live import LIVE, NORMAL
from features.rows import FeatureRow
from features.vectors import published as vectors_in_redis
from features.vectors.vector import GROUPS, Vector
from settings.redis_connection import open_redis

BENCH = Actor("bench", Role.OPERATOR)
# The history actor publishes an entity once in each of its intervals, which are minutes.
PUBLISHED_EVERY_SECONDS = 60.0
# Only what the tail model needs is learned from it; the vectors are published by this bench.
HISTORY_DAYS = 3
NAME = "ballast"


@dataclass(frozen=True)
class Running:
    """A platform that answers, with the bodies of each size."""

    platform: Platform
    headers: dict[str, str]
    reader: OverHttp


def contender(home: Path, subject: Subject) -> Contender:
    @contextmanager
    def serve() -> Iterator[Reader]:
        with running(home, subject) as found:
            yield found.reader

    return Contender(NAME, "rows", serve)


@contextmanager
def running(home: Path, subject: Subject) -> Iterator[Running]:
    """Bring Ballast up, with definitions of its users' own, and publish each minute."""
    platform = Platform(home / "ballast", free_url(), HISTORY_DAYS)
    _refuse_failure(platform.up())
    try:
        with _published_each_minute(platform, subject):
            yield _ready(platform, home, subject)
    finally:
        _refuse_failure(platform.down())


def _refuse_failure(command: CompletedProcess[str]) -> None:
    if command.returncode:
        raise ServerError(f"{command.args} failed: {command.stderr[-2000:]}")


def _ready(platform: Platform, home: Path, subject: Subject) -> Running:
    headers = {"X-API-Key": platform.key}
    folder = home / "bodies" / NAME
    targets = {
        size: Target(
            f"{platform.url}/features/vectors", headers, write(folder, subject.bodies(size), size)
        )
        for size in SIZES
    }
    for target in targets.values():  # until the own definitions are known to every gateway
        eventually(lambda target=target: answers(target))  # type: ignore[misc] # asked at once
    _check(subject, json.loads(first_answer(targets[1])))
    return Running(platform, headers, OverHttp(targets))


def _check(subject: Subject, answer: dict[str, list[dict[str, list[float]]]]) -> None:
    """Compare the stored ones with what was drawn, and the others with a formula written out."""
    row = subject.rows[subject.entities.index(subject.asked[1][0][0])]
    failures = row["error_rate"] * row["request_rate"]
    got = dict(zip(NAMES, answer["rows"][0]["values"], strict=True))
    wanted = {**row, "failures": failures}
    refuse_other_values("Ballast", [got[name] for name in wanted], [*wanted.values()])


@contextmanager
def _published_each_minute(platform: Platform, subject: Subject) -> Iterator[None]:
    """Write what the history actor writes of entities that are measured each minute."""
    done = Event()

    def publish_on() -> None:
        while not done.wait(PUBLISHED_EVERY_SECONDS):
            asyncio.run(_publish(platform, subject))

    asyncio.run(_define(platform))
    asyncio.run(_publish(platform, subject))
    thread = Thread(target=publish_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def _define(platform: Platform) -> None:
    """Deploy the own definitions."""
    async with open_redis(f"unix://{platform.redis}") as redis:
        active, steering = await ConfigStore(redis).active(), SteeringStore(redis)
        document, now = active.document, time.time()
        features = document.features.model_copy(update={"definitions": OWN})
        changed = document.model_copy(update={"features": features})
        life = await steering.draft(changed, "fifty features", BENCH, now)
        checked = Validated(life.number, life.content_hash)
        deploy = Deploy(life.number, Strategy.BLUE_GREEN, f"bench-{life.number}", active.number)
        await steering.change([checked, deploy], BENCH, now)


async def _publish(platform: Platform, subject: Subject) -> None:
    now = time.time()
    async with open_redis(f"unix://{platform.redis}") as redis:
        vectors = dict(zip(subject.entities, _vectors(subject, now), strict=True))
        stored = vectors_in_redis.as_stored(redis, vectors)
        stored |= rows_in_redis.as_stored(
            redis, zip(subject.entities, _rows(subject, now), strict=True)
        )
        await rows_in_redis.write(redis, stored)


def _vectors(subject: Subject, now: float) -> list[Vector]:
    absent = {each.name: float("nan") for each in STORED}
    times = [now - 60.0] * len(GROUPS)
    return [Vector(absent | dict(row), times, [now] * len(GROUPS), 60.0) for row in subject.rows]


def _rows(subject: Subject, now: float) -> list[FeatureRow]:
    """Give what models read of the same entities."""
    names = [each.name for each in (*LIVE, *NORMAL)]
    return [FeatureRow({name: row[name] for name in names}, now - 60.0) for row in subject.rows]
