import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import ray
from ray._private import auto_init_hook
from redis.asyncio import Redis

import deployments.features.deployment
import deployments.history.client
import deployments.runtime.replica
import features.store
from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from deployments.runtime.transport.tcp import exchange
from features.definitions.live import LIVE
from features.hours.series import EntityHours
from features.rows import FeatureRow
from features.store import publish
from features.telemetry.columns import Telemetry
from models.memory import trim_heap
from models.model_version import ModelVersion, folder_name
from models.pointer import write_pointer
from models.registry import CHAMPION
from models.tail.baselines import Baseline, entity_baselines
from models.tail.xgboost_quantile import TailModel
from observability.logs import JsonLines
from settings.redis_connection import open_redis
from tests.deployments.gateway.told_apart import CHALLENGER, NUMBERS
from tests.deployments.house import NOW, House, NoHistory, opened
from tests.fortnight import fortnight
from tests.hours import hours_of
from tests.redis_server import RedisServer, running


@cache
def fortnight_by_the_hour() -> dict[str, EntityHours]:
    minutes = fortnight()
    return hours_of(minutes, int(minutes.ts[-1]) + 60)


async def hours(question: object, *_: Any) -> dict[str, Any]:
    """Answer as the history actor: a fortnight's hours, put so that they end with the present.

    It stands in the actor's place for all tests of a process: what else they ask, it has not.
    """
    if question is not Questions.hours:
        raise HistoryAwayError("There is no history here but that of hours")
    found = fortnight_by_the_hour()
    now = int(time.time()) // 3600 * 3600
    return {
        entity: {
            "start": now - (each.end - each.start),
            "rate": each.request_rate.copy(),
            "exchange": "XNYS",
        }
        for entity, each in found.items()
    }


def crown(home: Path, tail_model: TailModel) -> None:
    """Make a model champion in this home directory."""
    models = home / "models"
    folder = models / folder_name(TailModel.name) / "1.0.0"
    tail_model.save(folder)
    made = datetime(2026, 3, 2, tzinfo=UTC)
    write_pointer(models, CHAMPION, ModelVersion(TailModel.name, "1.0.0", folder, made))


@pytest.fixture
def home(tmp_path: Path, tail_model: TailModel) -> Path:
    """Make a home directory in which a model is champion."""
    crown(tmp_path, tail_model)
    return tmp_path


@pytest.fixture
def challenger(home: Path, tail_model: TailModel) -> None:
    """Register a second model beside the champion."""
    folder = home / "models" / folder_name(TailModel.name) / NUMBERS[CHALLENGER]
    tail_model.save(folder)
    version = ModelVersion(TailModel.name, NUMBERS[CHALLENGER], folder, NOW)
    write_pointer(home / "models", CHALLENGER, version)


@cache
def rows_of_the_fortnight() -> dict[str, FeatureRow]:
    minutes = fortnight()
    return {
        entity: _last_row(minutes.rows(minutes.entity == entity), baseline)
        for entity, baseline in entity_baselines(minutes.columns()).items()
    }


def _last_row(minutes: Telemetry, baseline: Baseline) -> FeatureRow:
    columns = minutes.columns()
    values = {each.name: float(columns[each.name][-1]) for each in LIVE}
    return FeatureRow(values | baseline._asdict(), float(minutes.ts[-1]))


def measured_a_minute_ago() -> dict[str, FeatureRow]:
    rows = rows_of_the_fortnight()
    measured = float(int(time.time()) - 60)
    return {entity: FeatureRow(dict(row.values), measured) for entity, row in rows.items()}


@pytest.fixture
def known(home: Path) -> dict[str, FeatureRow]:  # noqa: ARG001 - see below
    """Give the entities that have been measured a minute ago.

    After the model of `home` is trained, which may take long enough for a minute to become stale.
    """
    return measured_a_minute_ago()


class LogLines:
    """The file that the deployments of a test log to, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, message: str) -> list[dict[str, Any]]:
        """Read the lines whose message has this in it."""
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [line for line in lines if message in line["message"]]


@pytest.fixture
def log_lines(tmp_path: Path) -> Iterator[LogLines]:
    path = tmp_path / "all-roles.jsonl"
    with path.open("a", buffering=1) as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(JsonLines())
        logging.getLogger().addHandler(handler)
        yield LogLines(path)
        logging.getLogger().removeHandler(handler)


@pytest.fixture
def profile() -> str:
    """Give the profile of the house; a test that is for both brings its own."""
    return "fast"


def stand_in_for_a_cluster(
    patch: pytest.MonkeyPatch, home: Path, server: RedisServer, profile: str
) -> None:
    patch.setenv("BALLAST_HOME", str(home))
    patch.setenv("REDIS_URL", server.url)
    patch.setenv("BALLAST_PROFILE", profile)
    # pytest keeps the logs of a test, and a test has no network but loopback.
    patch.setattr(deployments.runtime.replica, "write_logs", lambda *_: None)
    patch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    # For whoever asks an actor, Ray would start a cluster, and end this process with it.
    patch.setattr(auto_init_hook, "enable_auto_connect", False)
    patch.setattr(deployments.features.deployment, "HistorySource", NoHistory)
    patch.setattr(deployments.history.client, "ask", hours)
    patch.setattr(features.store, "FIRST_READ_SECONDS", 5.0)
    patch.setattr(exchange, "ASK_EVERY_SECONDS", 0.1)  # a second replica is soon found


@asynccontextmanager
async def prepared_house(redis: Redis, known: dict[str, FeatureRow]) -> AsyncIterator[House]:
    # What the house before held are few objects, in cycles, and fifty megabytes, and the collector
    # would come late. Nobody holds it by now; what is left stays, and is not looked at again.
    gc.collect()
    gc.freeze()
    trim_heap()
    await publish(redis, known.items())
    async with opened(redis) as house:
        yield house


@pytest.fixture
async def house(
    profile: str,
    home: Path,
    known: dict[str, FeatureRow],
    redis: Redis,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[House]:
    stand_in_for_a_cluster(monkeypatch, home, redis_server, profile)
    async with prepared_house(redis, known) as house:
        yield house


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def shared_house(
    tail_model: TailModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give one house to all tests of a class: for requests that must leave nothing behind."""
    home = tmp_path_factory.mktemp("home")
    crown(home, tail_model)
    with running() as server, pytest.MonkeyPatch.context() as patch:
        stand_in_for_a_cluster(patch, home, server, "fast")
        async with (
            open_redis(server.url) as redis,
            prepared_house(redis, measured_a_minute_ago()) as house,
        ):
            yield house
