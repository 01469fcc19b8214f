"""`ballast audit` where the platform does not run: it opens the archive itself."""

import asyncio
import os
import time
from pathlib import Path

import orjson
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from launch.cli import app
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.clickhouse.home import claim
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.drain import Drain
from observability.ledger.writer import LedgerWriter, Timing
from observability.schema import create_tables
from settings.environment import Settings
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["audit", *words]))


async def record(settings: Settings, redis: Redis, *, forge: str = "") -> list[str]:
    """Write three decisions: two drained (and then forged), one that waits in Redis."""
    ids = DecisionIds(time.time, os.urandom).take(3)
    decisions = [Decision(each, orjson.dumps({"decision_id": each})) for each in ids]
    patient = Timing(timeout=PATIENCE_SECONDS)
    await claim(redis, settings.paths.history, "here")
    with EmbeddedClickhouse(settings.paths.history) as store:
        create_tables(store)
        async with LedgerWriter(
            redis, writer="w", spool_dir=settings.paths.spool, clock=time.time, timing=patient
        ) as pen:
            await pen.append(decisions[:2])
            await Drain(redis, store).step()
            await pen.append(decisions[2:])
        if forge:
            await redis.xtrim("ballast:ledger", maxlen=1)
            store.execute(f"{forge} SETTINGS mutations_sync = 1")
    return ids


async def test_a_sound_ledger(settings: Settings, redis: Redis) -> None:
    ids = await record(settings, redis)
    found = await invoke()
    assert found.exit_code == 0, found.output
    assert "The ledger is whole: 3 entries with 3 decisions in 1 chain." in found.stdout
    for each in ids:
        found = await invoke("--decision", each)
        assert found.exit_code == 0, found.output
        assert f"{each} is in the ledger unchanged" in found.stdout
    absent = await invoke("--decision", ids[0].replace("-7", "-8", 1))
    assert (absent.exit_code, "is not in the ledger" in absent.stdout) == (4, True)


async def test_a_forged_row(settings: Settings, redis: Redis) -> None:
    forgery = "ALTER TABLE decisions UPDATE row = concat(row, ' ') WHERE leaf = 0"
    forged, beside, _ = await record(settings, redis, forge=forgery)
    found = await invoke()
    assert found.exit_code == 4, found.output
    assert "NOT whole: 1 fault in 3 entries" in found.stdout
    assert "altered   w 1: " in found.stdout
    found = await invoke("--decision", forged)
    assert (found.exit_code, "was ALTERED" in found.stdout) == (4, True)
    # Its entry holds the forged row, so the way to the entry's root cannot be shown either.
    assert (await invoke("--decision", beside)).exit_code == 4


async def test_an_empty_ledger_is_said_to_be_empty(settings: Settings, redis: Redis) -> None:
    await claim(redis, settings.paths.history, "here")
    with EmbeddedClickhouse(settings.paths.history) as store:
        create_tables(store)
    found = await invoke()
    assert (found.exit_code, found.stdout) == (
        0,
        "The ledger is empty: it holds no decision yet.\n",
    )


async def test_a_machine_without_a_ledger(settings: Settings) -> None:
    found = await invoke()
    assert found.exit_code == 1
    assert "There is no ledger here yet" in found.stderr
    assert not settings.paths.history.exists()


async def test_another_folder_is_not_audited_for_the_archive(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    await claim(redis, tmp_path / "another", "node-7")
    found = await invoke()
    assert (found.exit_code, "node-7" in found.stderr) == (1, True)
    assert not settings.paths.history.exists()


async def test_without_redis_there_is_no_verdict(
    settings: Settings, redis: Redis, redis_server: RedisServer
) -> None:
    await record(settings, redis)
    redis_server.kill()
    found = await invoke()
    assert (found.exit_code, "Redis does not answer" in found.stderr) == (1, True)
