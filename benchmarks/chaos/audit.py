"""Holds the books of a campaign against what the platform says when all is over."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from benchmarks.chaos.books import Books, Counted, Wrong
from benchmarks.chaos.campaign import Effect
from benchmarks.chaos.outages import Outages
from benchmarks.chaos.undisturbed import Feed, differing
from observability.clickhouse import Clickhouse

REFUSED_SECONDS = 2.0
LOOKING_SECONDS = 60.0
CAUGHT_UP_SECONDS = 60.0
LOOKERS = 16
IDS_A_QUERY = 5_000
STORED = "SELECT DISTINCT decision_id FROM decisions WHERE decision_id IN {ids:Array(String)}"


@dataclass(frozen=True, slots=True)
class Line:
    """One promise, what was found, and at most how much of it may be."""

    name: str
    found: float
    allowed: float
    of: str = ""  # among how many, or where

    @property
    def kept(self) -> bool:
        return self.found <= self.allowed


@dataclass(frozen=True, slots=True)
class Shown:
    """One count of the books and the platform's own."""

    what: str
    counted: Counted
    found: int


async def states(client: httpx.AsyncClient, books: Books) -> list[Shown]:
    """Ask how much is in every stream, experiment and study."""
    shown = [Shown("life of a stream begun anew", *life) for life in books.lives]
    for (kind, stream), counted in books.observations.items():
        of_kind = (await _content(client, f"/streams/{stream}")).get(kind, {})
        shown.append(Shown(f"{kind} {stream}", counted, of_kind.get("observations", 0)))
        missing = of_kind.get("missing", 0)
        shown.append(Shown(f"{kind} {stream}, numbers skipped", Counted(), missing))
    for experiment, counted in books.rewards.items():
        found = (await _content(client, f"/experiments/{experiment}")).get("rewards", 0)
        shown.append(Shown(experiment, counted, found))
    for study, counted in books.trials.items():
        of_study = await _content(client, f"/studies/{study}")
        told = of_study.get("trials", 0) - of_study.get("pending", 0)
        shown.append(Shown(study, counted, told))
    return shown


async def _content(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Give what is shown there, empty when there is nothing; one that is busy is asked again."""
    until = time.monotonic() + CAUGHT_UP_SECONDS
    while True:
        answer = await client.get(path)
        if answer.status_code in {HTTPStatus.OK, HTTPStatus.NOT_FOUND} or time.monotonic() > until:
            found: dict[str, Any] = answer.json() if answer.status_code == HTTPStatus.OK else {}
            return found
        await asyncio.sleep(0.5)


async def looked_up(client: httpx.AsyncClient, books: Books) -> set[str]:
    """Ask for received decisions by id, latest first, as many as there is time for.

    One that is not found is asked for again until the drain has had its time.
    """
    ids = list(books.received)[::-1]
    found: set[str] = set()
    until = time.monotonic() + LOOKING_SECONDS

    async def look(own: Iterable[str]) -> None:
        for decision_id in own:
            if time.monotonic() > until:
                return
            if await _found(client, decision_id):
                found.add(decision_id)

    await asyncio.gather(*(look(ids[start::LOOKERS]) for start in range(LOOKERS)))
    return found


async def _found(client: httpx.AsyncClient, decision_id: str) -> bool:
    until = time.monotonic() + CAUGHT_UP_SECONDS
    while time.monotonic() < until:
        answer = await client.get(f"/decisions/{decision_id}")
        if answer.status_code == HTTPStatus.OK:
            return bool(answer.json()["decision_id"] == decision_id)
        await asyncio.sleep(0.5)
    return False


def stored(store: Clickhouse, ids: Sequence[str]) -> set[str]:
    """Find which of these decisions the column store has, after the platform was taken down."""
    found: set[str] = set()
    for start in range(0, len(ids), IDS_A_QUERY):
        rows = store.query(STORED, {"ids": list(ids[start : start + IDS_A_QUERY])})
        found |= {row["decision_id"] for row in rows}
    return found


def lines(
    books: Books,
    shown: Sequence[Shown],
    feeds: Sequence[Feed],
    in_ledger: set[str],
    outages: Outages,
    effects: Sequence[Effect],
    left_over: Sequence[str],
    left_out: int,
) -> list[Line]:
    """Give every promise with what became of it."""
    acknowledged = sum(each.counted.acknowledged for each in shown)
    lost = sum(each.counted.lost(each.found) for each in shown)
    doubled = sum(each.counted.doubled(each.found) for each in shown)
    differ = sum(len(differing(feed)) for feed in feeds)
    missing = len(books.received.keys() - in_ledger)
    absent = {name for effect in effects for name in effect.absent}
    restarted = [effect.step for effect in effects if effect.restarted]
    return [
        Line("acknowledged and lost", lost, 0, f"of {acknowledged:,}"),
        Line("counted twice", doubled, 0, f"of {acknowledged:,}"),
        Line("answers of other bits", differ, 0, f"of {sum(len(f.said) for f in feeds):,}"),
        Line("received and not in the ledger", missing, 0, f"of {len(books.received):,}"),
        *(Line(wrong.value, books.count(wrong), 0, _where(books, wrong)) for wrong in Wrong),
        Line("longest row of refused connections, s", outages.longest, REFUSED_SECONDS),
        Line("kinds of process that did not come back", len(absent), 0, ", ".join(sorted(absent))),
        Line("starts by hand", len(restarted), 0, ", ".join(restarted)),
        Line("faults left out for want of time", left_out, 0),
        Line("left behind by `ballast down`", len(left_over), 0, ", ".join(left_over)),
    ]


def _where(books: Books, wrong: Wrong) -> str:
    return ", ".join(sorted({noted.endpoint for noted in books.wrong if noted.wrong is wrong}))
