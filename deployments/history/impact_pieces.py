"""Reads a sample of the ledger a piece at a time, and has each piece played beside the archive."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from config_store.errors import ConfigError
from config_store.store import ConfigStore, Version
from deployments.impact.wire import Outcome, SentRow, SentVersion
from deployments.runtime.helper.process import HelperProcess
from observability.clickhouse import Clickhouse
from observability.ledger import sample
from observability.ledger.archive import Archive
from observability.ledger.decision import time_of

# Of one entity, before a decision: the newest may be of the same batch, or not have been safe.
MOST_BEFORE = 8
# What goes through the pipe at once: a row may hold a hundred thousand values.
MOST_BYTES = 8_000_000
# Rows that are in memory at once: few until it is known how large they are.
FIRST_AT_ONCE, MOST_AT_ONCE = 20, 200


class Pieces:
    """One replay's; what answered is read once."""

    def __init__(
        self,
        store: Clickhouse,
        configs: ConfigStore,
        helper: HelperProcess,
        models: Path,
        candidate: Version,
        freezes: Sequence[tuple[float, float]],
    ) -> None:
        self._store = store
        self._archive = Archive(store)
        self._configs = configs
        self._helper = helper
        self._models = models
        self._candidate = _sent(candidate)
        self._freezes = freezes
        self.versions: dict[int, Version | None] = {}
        self._at_once = FIRST_AT_ONCE

    async def play(self, ids: Sequence[str]) -> list[Outcome]:
        """Give an outcome for each decision that is still there."""
        outcomes = list[Outcome]()
        while ids:
            some, ids = ids[: self._at_once], ids[self._at_once :]
            outcomes += await self._play(some)
        return outcomes

    async def _play(self, ids: Sequence[str]) -> list[Outcome]:
        rows = await asyncio.to_thread(self._read, ids)
        self._at_once = _as_many(rows)
        outcomes = {each["id"]: each for each in await self._played(rows)}
        unsure = [row for row in rows if "needs_last" in outcomes[row["id"]]]
        if unsure:
            backs = [outcomes[row["id"]]["needs_last"] for row in unsure]
            known = await asyncio.to_thread(self._with_before, unsure, backs)
            outcomes |= {each["id"]: each for each in await self._played(known)}
        return list(outcomes.values())

    def _read(self, ids: Sequence[str]) -> list[SentRow]:
        found = self._archive.rows(ids)
        return [
            SentRow(row=found[each].decode(errors="replace"), id=each, before=None)
            for each in ids
            if each in found
        ]

    def _with_before(self, rows: Sequence[SentRow], seconds: Sequence[float]) -> list[SentRow]:
        """Look for what each row's entity was answered before it, so many seconds back."""
        return [
            SentRow(row=row["row"], id=row["id"], before=self._before(row, back))
            for row, back in zip(rows, seconds, strict=True)
        ]

    def _before(self, row: SentRow, seconds: float) -> list[str]:
        fields = orjson.loads(row["row"])
        since_ms = (time_of(row["id"]) or 0) - int(seconds * 1000)
        scope = (fields["family"], fields["entity"], since_ms)
        found = sample.before(self._store, row["id"], *scope, MOST_BEFORE)
        return [each.decode(errors="replace") for each in found]

    async def _played(self, rows: Sequence[SentRow]) -> list[Outcome]:
        played = list[Outcome]()
        for portion in _portions(rows):
            await self._know(await asyncio.to_thread(_answered_by, portion))
            played += await self._helper.do(
                "replay",
                rows=portion,
                candidate=self._candidate,
                versions=[_sent(each) for each in self.versions.values() if each is not None],
                freezes=self._freezes,
                models=str(self._models),
            )
        return played

    async def _know(self, numbers: set[int]) -> None:
        """Read the versions that answered; the rows of one that cannot be read are left out."""
        for number in numbers - self.versions.keys():
            try:
                self.versions[number] = await self._configs.get(number)
            except ConfigError:
                self.versions[number] = None


def _as_many(rows: Sequence[SentRow]) -> int:
    """Tell how many rows of this size take no more memory than goes through the pipe at once."""
    size = sum(len(row["row"]) for row in rows)
    return max(1, min(MOST_AT_ONCE, MOST_BYTES * len(rows) // size)) if size else FIRST_AT_ONCE


def _portions(rows: Sequence[SentRow]) -> Iterator[list[SentRow]]:
    portion, size = list[SentRow](), 0
    for row in rows:
        length = len(row["row"]) + sum(map(len, row["before"] or ()))
        if portion and size + length > MOST_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    if portion:
        yield portion


def _answered_by(rows: Sequence[SentRow]) -> set[int]:
    texts = (text for row in rows for text in (row["row"], *(row["before"] or ())))
    found = (orjson.loads(text).get("config_version") for text in texts)
    return {number for number in found if isinstance(number, int)}


def _sent(version: Version) -> SentVersion:
    return SentVersion(
        number=version.number,
        config_hash=version.config_hash,
        document=version.document.canonical().decode(),
    )
