"""Training sets as jobs: made and certified, cancelled, told again after a restart."""

from collections.abc import AsyncIterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from config_store.own_features import catalogue_of
from deployments.api.datasets import DatasetShown
from deployments.history import dataset_jobs
from deployments.history.dataset_jobs import (
    KEPT_SECONDS,
    MOST_WAITING,
    DatasetAsked,
    DatasetJobs,
)
from deployments.jobs.job import RESTARTED, is_over
from features.datasets import certificate
from features.datasets.spine import Spine
from features.definitions.catalogue import Catalogue
from features.functions.evaluated import Functions
from features.functions.folder import ModuleText
from features.functions.kept import KeptModules
from features.telemetry.tables import append, create_measurements
from features.vectors.functions import FunctionFeatures
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from tests.deployments.history.lived import NOON, ZONE, live
from tests.measurements import telemetry_of
from tests.waiting import until

NAMES = ("request_rate", "cpu_mean_1h", "load_score", "hour_of_day", "failures", "doubled")
CONFIG = FeatureConfig.model_validate(
    {
        "definitions": {
            "failures": {"expression": "error_rate * request_rate"},
            "doubled": {"function": "own:doubled", "inputs": ["failures"]},
            # Of what streams say no past is kept: it is published, and in no digest.
            "odder": {"function": "own:doubled", "inputs": ["anomaly_score"]},
        },
        "function_seconds": 60.0,
    }
)
MODULE = ModuleText(
    "own",
    b"def doubled(failures=None, anomaly_score=None):\n"
    b"    return failures * 2 if failures is not None else anomaly_score + 1\n",
)


def catalogue(config: FeatureConfig = CONFIG) -> Catalogue:
    digests = dict.fromkeys(("doubled", "odder"), MODULE.sha256)
    return catalogue_of(config.definitions, config.stale_after_seconds, digests)


class Hall:
    """A store in which the live path has published for an hour, and the jobs over it."""

    def __init__(self, store: EmbeddedClickhouse, folder: Path, kept: KeptModules) -> None:
        self.kept = kept
        self.now = NOON + 4000.0
        self.store = store
        self.folder = folder
        self.jobs = self.open()

    def open(self) -> DatasetJobs:
        return DatasetJobs(
            self.store,
            self.folder,
            lambda _: ZONE,
            lambda: self.now,
            catalogue_of=catalogue,
            kept=self.kept,
        )

    async def ended(self, job: DatasetShown) -> DatasetShown:
        await until(lambda: is_over(job))
        return job


@pytest.fixture
async def hall(tmp_path: Path, redis: Redis) -> AsyncIterator[Hall]:
    with EmbeddedClickhouse(tmp_path / "store") as store:
        create_tables(store)
        create_measurements(store)
        kept = KeptModules(tmp_path / "functions")
        kept.keep(MODULE)
        with closing(Functions(kept, lambda: 60.0)) as functions:
            await live(store, redis, FunctionFeatures(catalogue(), functions))
        hall = Hall(store, tmp_path / "datasets", kept)
        await hall.jobs.start()
        yield hall
        await hall.jobs.close()


def asked(*seconds: float, sample: int = 20) -> DatasetAsked:
    spine = Spine.of(["auth"] * len(seconds), [NOON + each for each in seconds], 100_000)
    return DatasetAsked(spine, NAMES, CONFIG, sample)


async def test_a_set_is_made_certified_and_fetched(hall: Hall, tmp_path: Path) -> None:
    job = await hall.jobs.begin(asked(62.0, 62.5, 700.0, 3600.0))
    assert job is not None
    await hall.ended(job)
    assert (job.state, job.reason, job.done_rows) == ("done", None, 4)
    assert job.certificate is not None
    file = await hall.jobs.piece(job.id, 0)
    assert file is not None
    certificate = job.certificate
    assert certificate["file"] == {"sha256": sha256(file).hexdigest(), "bytes": len(file)}
    assert certificate["replay"]["rows"] == 4
    assert certificate["replay"]["recorded"] == certificate["counts"]["served"] == 3
    assert certificate["replay"]["equal"]
    assert set(certificate["definitions"]["versions"]) > set(NAMES)
    (tmp_path / "fetched").write_bytes(file)
    rows = pq.read_table(tmp_path / "fetched").to_pylist()
    # At 62.0 s the first row was known, though nothing was published yet.
    assert [row["request_rate"] for row in rows] == [10.0, 10.0, 20.0, 65.0]
    assert [row["served"] for row in rows] == [False, True, True, True]
    assert rows[2]["failures"] == 10.0
    assert [row["doubled"] for row in rows] == [2 * row["failures"] for row in rows]
    assert rows[2]["hour_of_day"] == 13.0
    paths = [path for path in hall.folder.rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths)


async def test_a_leak_is_found_by_the_replay(hall: Hall) -> None:
    """Plant one: a row that claims to have been known before the live path published."""
    ts = NOON + 300
    leak = telemetry_of({("auth", ts): {"request_rate": 777.0}})
    append(hall.store, leak, source="zzz", known_ms=(ts + 62) * 1000)
    job = await hall.jobs.begin(asked(700.0))
    assert job is not None
    await hall.ended(job)
    assert job.state == "failed"
    assert job.certificate is not None
    assert "not the one that was published" in job.certificate["replay"]["unequal"][0]
    assert await hall.jobs.piece(job.id, 0) is None


async def test_jobs_wait_for_each_other_are_cancelled_and_bounded(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[Path]()

    def noted(store: Any, wanted: Any, spine: Any, path: Path, **more: Any) -> dict[str, Any]:
        begun.append(path)
        return certificate.make(store, wanted, spine, path, **more)

    monkeypatch.setattr(dataset_jobs, "make", noted)
    many = np.linspace(0, 3600, 40_000).tolist()
    jobs = [await hall.jobs.begin(asked(*many, sample=0)) for _ in range(MOST_WAITING)]
    assert await hall.jobs.begin(asked(62.0)) is None
    for each in jobs:
        assert each is not None
        await hall.jobs.remove(each.id)
    for each in jobs:
        assert each is not None
        await hall.ended(each)
    assert {each.state for each in jobs if each} <= {"cancelled", "done"}
    assert "cancelled" in {each.state for each in jobs if each}
    assert len(begun) < MOST_WAITING  # what was cancelled while it waited never began
    assert not [*hall.folder.rglob("*.part")]


async def test_a_restart_tells_what_it_interrupted_and_keeps_what_is_done(hall: Hall) -> None:
    done = await hall.jobs.begin(asked(62.5))
    assert done is not None
    await hall.ended(done)
    await until(lambda: (hall.folder / done.id / "job.json").read_bytes().find(b'"done"') > 0)
    interrupted = hall.folder / ("0" * 16)
    interrupted.mkdir()
    text = (hall.folder / done.id / "job.json").read_text()
    text = text.replace(done.id, interrupted.name).replace('"state":"done"', '"state":"running"')
    (interrupted / "job.json").write_text(text)
    again = hall.open()
    await again.start()
    told = {each.id: each for each in await again.all()}
    assert told[done.id].state == "done"
    assert told[interrupted.name].reason == RESTARTED
    hall.now += KEPT_SECONDS + 1
    new = await again.begin(asked(62.5))
    assert new is not None
    await until(lambda: is_over(new))
    assert [each.id for each in await again.all()] == [new.id]
    assert not (hall.folder / done.id).exists()
    await again.close()
