"""What clients see when parts die: answers, or 503 with Retry-After, and a whole ledger."""

import asyncio
import os
import signal
import time
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from tests.live.conftest import PATIENCE_SECONDS, Live, eventually
from tests.live.load import Books, Load
from tests.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]


async def recorded(live: Live, ids: list[str]) -> set[str]:
    """Look the decisions up in the column store, where all of them must arrive."""
    found: set[str] = set()
    async with httpx.AsyncClient(
        base_url=live.url, headers={"X-API-Key": live.key}, timeout=30
    ) as client:
        gate = asyncio.Semaphore(8)

        async def look(decision_id: str) -> None:
            async with gate:
                answer = await client.get(f"/decisions/{decision_id}")
                if answer.status_code == 200 and answer.json()["decision_id"] == decision_id:
                    found.add(decision_id)

        await asyncio.gather(*(look(each) for each in ids))
    return found


def sample(ids: list[str], most: int = 600) -> list[str]:
    """Take them all, or evenly many of them; the kill is in the middle either way."""
    step = max(1, len(ids) // most)
    return ids[::step]


async def nothing_lost(live: Live, books: Books) -> None:
    assert not books.wrong, books.wrong
    assert len(books.answered) > 100
    wanted = sample(books.answered)
    missing = set(wanted) - await recorded(live, wanted)
    assert not missing, f"{len(missing)} of {len(wanted)} answers are not in the ledger"


@pytest.mark.parametrize("part", ["features", "tail", "safety", "gateway"])
async def test_a_killed_replica_loses_no_request(live: Live, part: str) -> None:
    title = f"ServeReplica:ballast:{part}"
    async with Load(live.url, live.key) as load:
        await load.answers(200)
        (victim, *_) = live.pids(title)
        os.kill(victim, signal.SIGKILL)
        await until(lambda: bool(set(live.pids(title)) - {victim}), PATIENCE_SECONDS)
        await load.answers_at_full_strength(200)
    books = load.books
    print(  # noqa: T201 - the figures are the point
        f"{part} killed: {books.sent} sent, {len(books.answered)} answered "
        f"({books.degraded} degraded, {books.fallbacks} by fallback), "
        f"{books.busy} told to come back"
    )
    await nothing_lost(live, books)


async def test_redis_killed_under_load_leaves_the_ledger_whole(live: Live) -> None:
    async with Load(live.url, live.key) as load:
        await load.answers(200)
        (redis,) = live.pids("redis-server")
        os.kill(redis, signal.SIGSTOP)  # hangs first, which is worse than being gone
        await until(lambda: load.books.degraded > 0, PATIENCE_SECONDS)
        os.kill(redis, signal.SIGKILL)
        await load.answers_at_full_strength(200)
    books = load.books
    eventually(lambda: spool(live) == 0)
    print(  # noqa: T201 - the figures are the point
        f"redis killed: {books.sent} sent, {len(books.answered)} answered "
        f"({books.degraded} degraded), {books.busy} told to come back"
    )
    await nothing_lost(live, books)


def spool(live: Live) -> int:
    with live.client() as client:
        ledger: dict[str, Any] = client.get("/status").json()["ledger"]
        return int(ledger["spooled_entries"])


async def test_the_history_killed_goes_on_where_it_was(live: Live) -> None:
    (victim,) = live.pids("ray::History")
    async with Load(live.url, live.key, clients=4) as load:
        await load.answers(100)
        os.kill(victim, signal.SIGKILL)
        await load.answers(200)
    assert load.books.wrong == []
    assert load.books.busy == 0

    def listed() -> bool:
        with live.client() as client:
            return client.get("/metrics/decisions", params={"limit": 1}).status_code == 200

    eventually(listed)
    await nothing_lost(live, load.books)


async def test_the_stream_is_drained_and_trimmed(live: Live) -> None:
    async with Redis(unix_socket_path=live.redis) as redis:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await redis.xlen("ballast:ledger") > 1:
            assert time.monotonic() < deadline, "the drain does not catch up"
            await asyncio.sleep(0.2)
