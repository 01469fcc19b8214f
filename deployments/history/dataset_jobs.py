"""Training sets as jobs: one at a time, behind everything else, in a folder of their own.

What a job is at lies beside its file, so a restart forgets none: one that was under way then is
told to have failed, and can be asked for again.
"""

import asyncio
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from config_store.document import FeatureConfig
from features.datasets.build import Wanted
from features.datasets.certificate import make
from features.datasets.spine import Spine
from features.definitions.catalogue import Catalogue
from features.errors import DatasetCancelledError
from features.functions.evaluated import Functions
from features.functions.kept import KeptModules
from features.telemetry.tables import ColumnStore
from features.vectors.computed import Facts

State = Literal["queued", "running", "done", "failed", "cancelled"]
LOWEST_PRIORITY = 19
KEPT_SECONDS = 86_400
MOST_WAITING = 8
PIECE_BYTES = 1_048_576
RESTARTED = "the history was restarted meanwhile: ask for it again"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DatasetAsked:
    """What somebody wants: rows, features, by which definitions, and how many are replayed."""

    spine: Spine
    names: tuple[str, ...]
    config: FeatureConfig
    sample: int


@dataclass(slots=True)
class DatasetJob:
    """How far a training set is; its certificate when it is done."""

    id: str
    asked_at: float
    rows: int
    features: list[str]
    state: State = "queued"
    done_rows: int = 0
    reason: str | None = None
    ended_at: float | None = None
    certificate: dict[str, Any] | None = field(default=None)

    @property
    def is_over(self) -> bool:
        return self.state in {"done", "failed", "cancelled"}


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
        self._folder = folder
        self._facts_of = facts_of
        self._wall = wall
        self._catalogue_of = catalogue_of
        self._kept = kept
        self._pool = ThreadPoolExecutor(1, "dataset", initializer=_step_back)
        self._wishes: dict[str, threading.Event] = {}
        """By job that is not over: whether it is wished to end."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.jobs: dict[str, DatasetJob] = {}

    async def start(self) -> None:
        for job in await asyncio.to_thread(_stored, self._folder):
            self.jobs[job.id] = job
            if not job.is_over:
                await self._end(job, "failed", RESTARTED)

    async def close(self) -> None:
        for wish in self._wishes.values():
            wish.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown()

    async def begin(self, asked: DatasetAsked) -> DatasetJob | None:
        """Take a job on; None where too many wait."""
        await self._forget_old()
        if len(self._wishes) >= MOST_WAITING:
            return None
        job = DatasetJob(os.urandom(8).hex(), self._wall(), len(asked.spine), list(asked.names))
        self.jobs[job.id] = job
        self._wishes[job.id] = threading.Event()
        await self._note(job)
        task = asyncio.ensure_future(self._run(job, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def remove(self, job_id: str) -> DatasetJob | None:
        """Cancel a job that is under way; of one that is over delete the file."""
        job = self.jobs.get(job_id)
        if job is not None and job.is_over:
            del self.jobs[job_id]
            await asyncio.to_thread(shutil.rmtree, self._folder / job_id, ignore_errors=True)
        elif job is not None:
            self._wishes[job_id].set()
        return job

    async def piece(self, job_id: str, offset: int) -> bytes | None:
        """Read a piece of a file that is done; None where there is none."""
        job = self.jobs.get(job_id)
        if job is None or job.state != "done":
            return None
        return await asyncio.to_thread(_read, self._file(job), offset)

    async def _run(self, job: DatasetJob, asked: DatasetAsked) -> None:
        loop = asyncio.get_running_loop()
        try:
            job.certificate = await loop.run_in_executor(self._pool, self._make, job, asked)
        except DatasetCancelledError:
            await self._end(job, "cancelled", None)
        except Exception as error:
            log.exception("The training set %s cannot be made", job.id)
            await self._end(job, "failed", f"{type(error).__name__}: {error}")
        else:
            proven = job.certificate["replay"]["equal"]
            unequal = "a row that was computed again is another one: see the certificate"
            await self._end(job, *(("done", None) if proven else ("failed", unequal)))
        finally:
            self._wishes.pop(job.id, None)

    def _make(self, job: DatasetJob, asked: DatasetAsked) -> dict[str, Any]:
        """Make the set; in a thread."""
        wish = self._wishes[job.id]
        job.state = "running"

        def progress(rows: int, _of: int) -> None:
            job.done_rows = rows

        file = self._file(job)
        unfinished = file.with_suffix(".part")
        with self._wanted(asked) as wanted:
            certificate = make(
                self._store,
                wanted,
                asked.spine,
                unfinished,
                progress=progress,
                is_cancelled=wish.is_set,
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

    async def _end(self, job: DatasetJob, state: State, reason: str | None) -> None:
        if state != "done":
            await asyncio.to_thread(self._drop_files, job)
        job.state, job.reason, job.ended_at = state, reason, self._wall()
        await self._note(job)

    def _drop_files(self, job: DatasetJob) -> None:
        for each in (self._file(job), self._file(job).with_suffix(".part")):
            each.unlink(missing_ok=True)

    async def _note(self, job: DatasetJob) -> None:
        await asyncio.to_thread(_store, self._folder / job.id, job)

    async def _forget_old(self) -> None:
        since = self._wall() - KEPT_SECONDS
        for job in [*self.jobs.values()]:
            if job.ended_at is not None and job.ended_at < since:
                await self.remove(job.id)

    def _file(self, job: DatasetJob) -> Path:
        return self._folder / job.id / "dataset.parquet"


def _step_back() -> None:
    """Let everything else of the process go first; threads that this one starts do so too."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)


def _store(folder: Path, job: DatasetJob) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = folder / "job.json.part"
    unfinished.write_bytes(orjson.dumps(asdict(job)))
    unfinished.rename(folder / "job.json")


def _stored(folder: Path) -> list[DatasetJob]:
    found = []
    for file in folder.glob("*/job.json"):
        with suppress(orjson.JSONDecodeError, TypeError):  # written by another release
            found.append(DatasetJob(**orjson.loads(file.read_bytes())))
    return sorted(found, key=lambda each: each.asked_at)


def _read(file: Path, offset: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(PIECE_BYTES)
