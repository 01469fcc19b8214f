"""Replays of recorded decisions under a version, beside the archive: one at a time, each bounded.

Rows are read here, a piece at a time and in the order in which they were drawn, and played in a
process of their own that ends with the replay. So it may end anywhere, by its time or by a person,
and what was read until then is a sample all the same. What came of each is kept in Redis.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
from pydantic import ValidationError
from redis.asyncio import Redis

from config_store.errors import ConfigError
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore, Version
from deployments.api.impact import ImpactReport, ImpactShown
from deployments.impact.outcome import Outcome
from deployments.impact.sent import SentRow, SentVersion
from deployments.impact.tally import Tally
from deployments.impact.unplayed import not_replayed
from deployments.runtime.helper.process import HelperLostError, HelperProcess
from observability.clickhouse import Clickhouse
from observability.errors import ClickhouseError
from observability.ledger import sample
from observability.ledger.archive import Archive
from observability.ledger.decision import time_of
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

PIECE = 200
MOST_SECONDS = 300.0
MOST_WAITING = 4
# The reports of so many versions are kept; a report is a few tens of kilobytes.
MOST_KEPT = 30
# Of one entity, before a decision: the newest may be of the same batch, or not have been safe.
MOST_BEFORE = 8
RESTARTED = "the history was restarted meanwhile: ask for it again"
NOTES = (
    "What a policy refused has no decision that was recorded, so it is not among these.",
    "Each decision is played by itself: the last safe answer before it is the one that was given, "
    "not the one that the version would have given.",
    "Freezes that have ended are not known here, and matter only to a limit that reads time.frozen.",
)


@dataclass(frozen=True, slots=True)
class ImpactAsked:
    """Which version is played, over which time, and how many rows are read at most."""

    version: int
    by: str
    since: float
    until: float
    rows: int


class ImpactJobs:
    """Those of one history; called from its event loop only."""

    def __init__(
        self,
        redis: Redis,
        store: Clickhouse,
        models: Path,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        self._redis = redis
        self._store = store
        self._archive = Archive(store)
        self._models = models
        self._wall = wall
        self._monotonic = monotonic
        self._most_seconds = most_seconds
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        self._key = redis_name(redis, "config", "impact")
        self._turn = asyncio.Lock()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._jobs: dict[int, ImpactShown] = {}
        self._cancelled: set[int] = set()

    async def begin(self, asked: ImpactAsked) -> ImpactShown | None:
        """Begin a replay, or give the one of this version that goes on; None where many wait.

        A version that does not exist, or cannot be read, raises ConfigError.
        """
        if asked.version in self._tasks:
            return self._jobs[asked.version]
        if len(self._tasks) >= MOST_WAITING:
            return None
        version = await self._configs.get(asked.version)
        job = ImpactShown(
            version=version.number,
            config_hash=version.config_hash,
            state="queued",
            asked_by=asked.by,
            asked_at=self._wall(),
            since=asked.since,
            until=asked.until,
            rows=asked.rows,
        )
        self._jobs[asked.version] = job
        await self._keep(job)
        task = asyncio.create_task(self._run(job, version), name=f"impact of {version.number}")
        self._tasks[asked.version] = task
        task.add_done_callback(lambda _: self._tasks.pop(asked.version, None))
        return job

    async def get(self, number: int) -> ImpactShown | None:
        """Give the latest replay of a version: as it goes on, or as it was kept."""
        if number in self._tasks:
            return self._jobs[number]
        kept = await self._redis.hget(self._key, str(number))
        found = None if kept is None else _read(kept)
        if found is not None and found.state in ("queued", "running"):
            found = found.model_copy(update={"state": "failed", "reason": RESTARTED})
        return found

    async def cancel(self, number: int) -> ImpactShown | None:
        """End a replay that goes on, with what it has found; of one that is over forget it."""
        task = self._tasks.get(number)
        if task is not None:
            self._cancelled.add(number)
            await asyncio.wait([task])
            return self._jobs[number]
        found = await self.get(number)
        await self._redis.hdel(self._key, str(number))
        return found

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, job: ImpactShown, version: Version) -> None:
        helper = HelperProcess()
        try:
            async with self._turn:
                job.state = "running"
                await self._replay(job, version, helper)
            job.state = "cancelled" if job.version in self._cancelled else "done"
        except (ClickhouseError, ConfigError, HelperLostError, *REDIS_AWAY) as error:
            log.warning("The impact of version %d is not known: %s", job.version, error)
            job.state, job.reason = "failed", f"{type(error).__name__}: {error}"
        except Exception as error:
            log.exception("The impact of version %d cannot be replayed", job.version)
            job.state, job.reason = "failed", f"{type(error).__name__}: {error}"
        finally:
            self._cancelled.discard(job.version)
            await helper.close()
        job.ended_at = self._wall()
        try:
            await self._keep(job)
        except REDIS_AWAY as away:
            log.warning("The impact of version %d is not kept: %r", job.version, away)

    async def _replay(self, job: ImpactShown, version: Version, helper: HelperProcess) -> None:
        deadline = self._monotonic() + self._most_seconds
        since, until = int(job.since * 1000), int(job.until * 1000)
        recorded = await asyncio.to_thread(sample.count, self._store, since, until)
        drawn = await asyncio.to_thread(
            sample.draw, self._store, since, until, version.config_hash, job.rows
        )
        job.drawn = len(drawn)
        pieces = _Pieces(self._store, self._archive, self._configs, helper, self._models, version)
        state = await self._steering.read()
        pieces.freezes = [(each.begins, each.ends) for each in state.freezes]
        tally = Tally()
        for begin in range(0, len(drawn), PIECE):
            if job.version in self._cancelled or self._monotonic() > deadline:
                break
            for outcome in await pieces.play(drawn[begin : begin + PIECE]):
                tally.add(outcome)
            job.read = tally.read
        job.report = _report(job, tally, recorded, pieces.versions, version)

    async def _keep(self, job: ImpactShown) -> None:
        await self._redis.hset(self._key, str(job.version), job.model_dump_json())
        kept = sorted(map(int, await self._redis.hkeys(self._key)))
        for number in kept[:-MOST_KEPT]:
            await self._redis.hdel(self._key, str(number))


class _Pieces:
    """Reads pieces of a sample, and has them played."""

    def __init__(
        self,
        store: Clickhouse,
        archive: Archive,
        configs: ConfigStore,
        helper: HelperProcess,
        models: Path,
        candidate: Version,
    ) -> None:
        self._store = store
        self._archive = archive
        self._configs = configs
        self._helper = helper
        self._models = models
        self._candidate = _sent(candidate)
        self.freezes: list[tuple[float, float]] = []
        self.versions: dict[int, Version | None] = {}

    async def play(self, ids: Sequence[str]) -> list[Outcome]:
        """Give an outcome for each decision that is still there."""
        found = await asyncio.to_thread(self._archive.rows, ids)
        rows = [
            SentRow(row=found[each].decode(), id=each, before=None) for each in ids if each in found
        ]
        outcomes = {each["id"]: each for each in await self._played(rows)}
        looked_for = [
            await self._with_before(row, outcomes[row["id"]]["needs_last"])
            for row in rows
            if "needs_last" in outcomes[row["id"]]
        ]
        if looked_for:
            outcomes |= {each["id"]: each for each in await self._played(looked_for)}
        return list(outcomes.values())

    async def _with_before(self, row: SentRow, seconds: float) -> SentRow:
        """Look for what the row's entity was answered before it."""
        fields = orjson.loads(row["row"])
        at_ms = time_of(row["id"]) or 0
        look = partial(
            sample.before,
            self._store,
            row["id"],
            fields["family"],
            fields["entity"],
            at_ms - int(seconds * 1000),
            MOST_BEFORE,
        )
        found = [each.decode() for each in await asyncio.to_thread(look)]
        return SentRow(row=row["row"], id=row["id"], before=found)

    async def _played(self, rows: Sequence[SentRow]) -> list[Outcome]:
        if not rows:
            return []
        texts = [text for row in rows for text in (row["row"], *(row["before"] or ()))]
        await self._know({orjson.loads(text).get("config_version") for text in texts})
        played: list[Outcome] = await self._helper.do(
            "replay",
            rows=rows,
            candidate=self._candidate,
            versions=[_sent(each) for each in self.versions.values() if each is not None],
            freezes=self.freezes,
            models=str(self._models),
        )
        return played

    async def _know(self, numbers: set[int | None]) -> None:
        """Read the versions that answered; one that cannot be read is left out with its rows."""
        for number in numbers - self.versions.keys():
            if isinstance(number, int):
                try:
                    self.versions[number] = await self._configs.get(number)
                except ConfigError:
                    self.versions[number] = None


def _sent(version: Version) -> SentVersion:
    return SentVersion(
        number=version.number,
        config_hash=version.config_hash,
        document=version.document.canonical().decode(),
    )


def _read(kept: bytes) -> ImpactShown | None:
    try:
        return ImpactShown.model_validate_json(kept)
    except ValidationError:  # another release wrote it
        return None


def _report(
    job: ImpactShown,
    tally: Tally,
    recorded: Mapping[str, int],
    versions: Mapping[int, Version | None],
    candidate: Version,
) -> ImpactReport:
    # Who recorded a decision twice makes the count larger than what there is to draw.
    whole = job.drawn < job.rows and tally.read >= job.drawn
    total = sum(recorded.values())
    seen = [each.document for number, each in versions.items() if each and number in tally.versions]
    return ImpactReport(
        recorded=tally.read if whole else total,
        drawn=job.drawn,
        read=tally.read,
        replayed=tally.replayed,
        whole=whole,
        sample=_how(job, tally, whole=whole),
        changed=tally.changed(None if whole else total),
        flipped=tally.flipped(None if whole else total),
        families=tally.families(None if whole else recorded),
        versions=tally.versions,
        left_out=tally.left_out(),
        not_replayed=not_replayed(seen, candidate.document),
        notes=list(NOTES),
    )


def _how(job: ImpactShown, tally: Tally, *, whole: bool) -> str:
    """Say how the rows were drawn."""
    if whole:
        return "every decision of that time was read"
    stopped = (
        ""
        if tally.read >= job.drawn
        else f"; of {job.drawn} drawn, {tally.read} came to their turn"
    )
    return (
        "a simple random sample without replacement: the decisions whose ids, hashed with the "
        f"version's hash {job.config_hash[:12]}, come first{stopped}"
    )
