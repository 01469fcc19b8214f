"""Training sets through the gateway, as the command line asks for them."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis.asyncio import Redis

from access.keys import Principal, Role
from config_store.shipped import default_document
from deployments.api.errors import ForbiddenError
from deployments.gateway.app import build_app
from deployments.gateway.bodies.room import BodyRoom
from deployments.gateway.features.reader import FeatureReader
from deployments.gateway.routes import datasets as routes
from deployments.history.dataset_jobs import DatasetJobs
from deployments.history.questions import Questions
from features.telemetry.tables import append, create_measurements
from launch.errors import LaunchError
from launch.features import datasets
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from tests.deployments.history.lived import NOON, ZONE, live
from tests.measurements import telemetry_of


@pytest.fixture
async def store(
    tmp_path: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[EmbeddedClickhouse]:
    """Do what the history actor does when it is asked."""
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        create_measurements(store)
        await live(store, redis)
        jobs = DatasetJobs(store, tmp_path / "datasets", lambda _: ZONE, lambda: NOON + 4000.0)

        async def ask(question: object, *args: Any) -> Any:
            asked: dict[object, Any] = {
                Questions.begin_dataset: jobs.begin,
                Questions.datasets: jobs.all,
                Questions.remove_dataset: jobs.remove,
                Questions.dataset_piece: jobs.piece,
            }
            return await asked[question](*args)

        monkeypatch.setattr(routes, "ask", ask)
        yield store
        await jobs.close()


class Keys:
    """Admits who names a role in place of a key; keys have tests of their own."""

    def admit(self, headers: list[tuple[bytes, bytes]], needed: Role) -> Principal:
        principal = Principal("a", Role(dict(headers)[b"x-api-key"].decode()))
        if not principal.may(needed):
            raise ForbiddenError(f"this needs the role {needed}")
        return principal


@pytest.fixture
async def gateway(redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    """Open a gateway's own app, without the stages that no path of these asks."""
    context: Any = SimpleNamespace(
        families={},
        observe=lambda *_: None,
        admission=Keys(),
        active=lambda: SimpleNamespace(document=default_document()),
        features=FeatureReader(redis, time.monotonic, lambda: 5.0),
        post_room=BodyRoom(),
    )
    transport = httpx.ASGITransport(build_app(context))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers={"X-API-Key": "client"}
    ) as client:
        yield client


def silent(_done: int, _of: int) -> None:
    """Hear progress and say nothing."""


def spine(folder: Path) -> Path:
    file = folder / "spine.csv"
    file.write_text(
        "entity,time,label\n"
        f"auth,{NOON + 62.5},1\n"
        "auth,2026-03-10T12:11:40+00:00,0\n"
        f"nobody,{NOON + 700},1\n"
    )
    return file


async def test_a_set_is_made_verified_and_a_change_of_it_found(
    gateway: httpx.AsyncClient, store: EmbeddedClickhouse, tmp_path: Path
) -> None:
    out = tmp_path / "set.parquet"
    query = datasets.dataset_query(
        spine(tmp_path), ["request_rate", "cpu_mean_1h", "load_score"], 10
    )
    lines = await datasets.make(gateway, query, out)
    assert "3 rows, 3 features" in lines[0]
    rows = pq.read_table(out).sort_by("row").to_pylist()
    assert [row["request_rate"] for row in rows] == [10.0, 20.0, None]
    verdict = await datasets.verify(gateway, out, 10)
    assert verdict.sound, verdict.lines
    assert (await gateway.get("/features/datasets")).json() == {"datasets": []}

    # Somebody says now what was known then: the set that is made once more is another one.
    ts = NOON + 600
    leak = telemetry_of({("auth", ts): {"request_rate": 777.0}})
    append(store, leak, source="zzz", known_ms=(ts + 62) * 1000)
    verdict = await datasets.verify(gateway, out, 10)
    assert not verdict.sound
    assert "request_rate is 20.0 in the file, and now 777.0" in verdict.lines[0]
    with pytest.raises(LaunchError, match="computed again is another one"):
        await datasets.make_dataset(gateway, query, tmp_path / "leaked.parquet", silent)

    table = pq.read_table(out)
    at = table.column_names.index("request_rate")
    altered = table.set_column(at, "request_rate", pa.array([1.0, 20.0, None]))
    pq.write_table(altered, out)
    verdict = await datasets.verify(gateway, out, 10)
    assert "its SHA-256 is another" in verdict.lines[0]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rows": {"entity": ["a"], "time": [1, 2]}}, "rows"),
        ({"rows": {"entity": ["a"], "time": [-1]}}, "rows.time.0"),
        ({"features": ["laod"], "rows": {"entity": ["a"], "time": [1]}}, "features"),
        ({"steps": {"entities": ["a"], "since": 5, "until": 5, "every_seconds": 1}}, "until"),
        (
            {"steps": {"entities": ["a"], "since": 0, "until": 4_000_000, "every_seconds": 1}},
            "until",
        ),
    ],
)
async def test_what_cannot_be_made_is_refused_with_its_field(
    gateway: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await gateway.post("/features/datasets", json=body)
    assert answer.status_code == 422
    assert list(answer.json()["error"]["fields"]) == [field]


@pytest.mark.usefixtures("store")
async def test_who_only_reads_makes_none_and_what_is_not_there_is_said(
    gateway: httpx.AsyncClient,
) -> None:
    steps = {"entities": ["auth"], "since": NOON, "until": NOON + 3600, "every_seconds": 600}
    reader = {"X-API-Key": "viewer"}
    path = "/features/datasets/0123456789abcdef"
    asked = await gateway.post("/features/datasets", json={"steps": steps}, headers=reader)
    assert asked.status_code == 403
    assert (await gateway.delete(path, headers=reader)).status_code == 403
    for answer in (
        await gateway.get(path),
        await gateway.get(f"{path}/file"),
        await gateway.delete(path),
    ):
        assert answer.status_code == 404
