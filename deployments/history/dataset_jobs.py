"""Training sets as jobs: one at a time, behind everything else, in a folder of their own.

What a job is at lies beside its file, so a restart forgets none: one that was under way then is
told to have failed, and can be asked for again.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from config_store.document import FeatureConfig
from deployments.api.datasets import DatasetShown
from deployments.jobs.job import JobFailedError, interrupt, is_over
from deployments.jobs.kept import JobsInFolders
from deployments.jobs.queue import JobQueue
from features.datasets.build import Wanted
from features.datasets.certificate import make
from features.datasets.spine import Spine
from features.definitions.catalogue import Catalogue
from features.errors import DatasetCancelledError
from features.functions.evaluated import Functions
from features.functions.kept import KeptModules
from features.telemetry.tables import ColumnStore
from features.vectors.computed import Facts

LOWEST_PRIORITY = 19
KEPT_SECONDS = 86_400
MOST_WAITING = 8
PIECE_BYTES = 1_048_576
UNEQUAL = "a row that was computed again is another one: see the certificate"


@dataclass(frozen=True, slots=True)
class DatasetAsked:
    """What somebody wants: rows, features, by which definitions, and how many are replayed."""

    spine: Spine
    names: tuple[str, ...]
    config: FeatureConfig
    sample: int


class DatasetJobs:
    """The training sets of one history; called from its event loop only."""

    def __init__(
        self,
        store: ColumnStore,
        folder: Path,
        facts_of: Callable[[str], Facts],
        wall: Callable[[], float] = time.time,
        *,
        catalogue_of: Callable[[FeatureConfig], Catalogue] = FeatureConfig.catalogue,
        kept: KeptModules | None = None,
    ) -> None:
        """Take which definitions are in force, and the modules of those that are functions."""
        self._store = store
        self._facts_of = facts_of
        self._wall = wall
        self._catalogue_of = catalogue_of
        self._kept = kept
        self._pool = ThreadPoolExecutor(1, "dataset", initializer=_step_back)
        self._kept_jobs = JobsInFolders(folder, DatasetShown)
        self._queue = JobQueue("The training set", self._kept_jobs, wall, MOST_WAITING)

    async def start(self) -> None:
        """End what the process before this one was making."""
        for job in await self._kept_jobs.all():
            if not is_over(job):
                interrupt(job)
                job.ended_at = self._wall()
                await asyncio.to_thread(self._drop_files, job.id)
                await self._kept_jobs.save(job.id, job)

    async def close(self) -> None:
        await self._queue.close()
        self._pool.shutdown()

    async def begin(self, asked: DatasetAsked) -> DatasetShown | None:
        """Take a job on; None where too many wait."""
        await self._forget_old()
        job = DatasetShown(
            id=os.urandom(8).hex(),
            state="queued",
            asked_at=self._wall(),
            ended_at=None,
            rows=len(asked.spine),
            done_rows=0,
            features=list(asked.names),
            reason=None,
            certificate=None,
        )
        return await self._queue.begin(job.id, job, partial(self._make, job, asked))

    async def all(self) -> list[DatasetShown]:
        """Tell how far each training set of the last day is, in the order of asking."""
        going = self._queue.going()
        kept = await self._kept_jobs.all()
        return sorted((going.get(job.id, job) for job in kept), key=lambda each: each.asked_at)

    async def remove(self, job_id: str) -> DatasetShown | None:
        """Cancel a job that is under way; of one that is over delete the file."""
        return await self._queue.cancel(job_id)

    async def piece(self, job_id: str, offset: int) -> bytes | None:
        """Read a piece of a file that is done; None where there is none."""
        job = await self._queue.get(job_id)
        if job is None or job.state != "done":
            return None
        return await asyncio.to_thread(_read, self._file(job.id), offset)

    async def _make(self, job: DatasetShown, asked: DatasetAsked, end: threading.Event) -> None:
        is_proven = False
        try:
            job.certificate = await self._in_thread(job, asked, end)
            is_proven = job.certificate["replay"]["equal"]
        except DatasetCancelledError:  # as somebody wished
            return
        finally:
            if not is_proven:
                await asyncio.to_thread(self._drop_files, job.id)
        if not is_proven:
            raise JobFailedError(UNEQUAL)

    async def _in_thread(
        self, job: DatasetShown, asked: DatasetAsked, end: threading.Event
    ) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        making = loop.run_in_executor(self._pool, self._write, job, asked, end)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:  # the history closes, and the thread knows it by `end`
            await asyncio.wait([making])
            raise

    def _write(
        self, job: DatasetShown, asked: DatasetAsked, end: threading.Event
    ) -> dict[str, Any]:
        """Write the file and its certificate; in a thread."""
        if end.is_set():  # while it waited: a part of a set may take minutes
            raise DatasetCancelledError

        def progress(rows: int, _of: int) -> None:
            job.done_rows = rows

        file = self._file(job.id)
        unfinished = _unfinished(file)
        with self._wanted(asked) as wanted:
            certificate = make(
                self._store,
                wanted,
                asked.spine,
                unfinished,
                progress=progress,
                is_cancelled=end.is_set,
                sample=asked.sample,
                wall=self._wall,
            )
        unfinished.rename(file)
        (file.parent / "certificate.json").write_bytes(
            orjson.dumps(certificate, option=orjson.OPT_INDENT_2)
        )
        return certificate

    @contextmanager
    def _wanted(self, asked: DatasetAsked) -> Iterator[Wanted]:
        """Give what is wanted, with a process in which functions run until it is made."""
        catalogue = self._catalogue_of(asked.config)
        if self._kept is None:
            yield Wanted(catalogue, asked.names, self._facts_of)
            return
        seconds = asked.config.function_seconds
        # A set in which a feature is missing since its function was slow is not what was served.
        with closing(Functions(self._kept, lambda: seconds, must_give=True)) as functions:
            yield Wanted(catalogue, asked.names, self._facts_of, functions)

    def _drop_files(self, job_id: str) -> None:
        file = self._file(job_id)
        for each in (file, _unfinished(file)):
            each.unlink(missing_ok=True)

    async def _forget_old(self) -> None:
        since = self._wall() - KEPT_SECONDS
        for job in await self._kept_jobs.all():
            if job.ended_at is not None and job.ended_at < since:
                await self._kept_jobs.forget(job.id)

    def _file(self, job_id: str) -> Path:
        return self._kept_jobs.of(job_id) / "dataset.parquet"


def _unfinished(file: Path) -> Path:
    return file.with_suffix(".part")


def _step_back() -> None:
    """Let everything else of the process go first; threads that this one starts do so too."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)


def _read(file: Path, offset: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(PIECE_BYTES)
