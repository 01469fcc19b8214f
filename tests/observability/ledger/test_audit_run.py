"""An audit in the background, and what it knows of the one before."""

import time
from collections.abc import Callable
from pathlib import Path

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger import noted_heads
from observability.ledger.audit_run import AuditRun
from observability.ledger.decision import Decision
from observability.ledger.drain import Drain
from observability.ledger.writer import LedgerWriter, Timing
from tests.waiting import PATIENCE_SECONDS, until

PATIENT = Timing(timeout=PATIENCE_SECONDS)
Decide = Callable[..., list[Decision]]


async def drained(client: Redis, store: Clickhouse, folder: Path, decide: Decide) -> None:
    async with LedgerWriter(
        client, writer="a", spool_dir=folder, clock=time.time, timing=PATIENT
    ) as pen:
        for _ in range(3):
            await pen.append(decide(2))
    await Drain(client, store).step()
    await client.delete("ballast:ledger")


async def test_a_chain_that_was_cut_since_the_last_good_audit_is_found(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await drained(client, store, tmp_path, decide)
    run = AuditRun(client, store, lambda: 17.0)
    assert run.report()["state"] == "none"
    assert run.begin()["state"] == "running"
    await until(lambda: run.report()["state"] == "done")
    found = run.report()
    assert (found["whole"], found["entries"], found["rows"], found["chains"]) == (True, 4, 6, 1)
    assert found["finished"] == 17.0

    store.execute("ALTER TABLE ledger_entries DELETE WHERE seq = 3 SETTINGS mutations_sync = 1")
    for _ in range(2):  # a bad audit is not what the next one goes by
        run.begin()
        await until(lambda: run.report()["state"] == "done")
        assert [each["kind"] for each in run.report()["faults"]] == ["truncated"]
    await noted_heads.forget(client)
    run.begin()
    await until(lambda: run.report()["state"] == "done")
    assert run.report()["whole"]
    await run.close()


async def test_an_audit_that_cannot_be_made_says_why(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await drained(client, store, tmp_path, decide)
    store.execute("DROP TABLE ledger_entries SYNC")
    run = AuditRun(client, store, time.time)
    run.begin()
    await until(lambda: run.report()["state"] == "failed")
    assert "ledger_entries" in run.report()["failure"]
    assert not run.report()["whole"]


async def test_an_audit_that_fails_over_what_nobody_thought_of_is_over(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    """Whoever looks how far it is would look for ever."""
    await drained(client, store, tmp_path, decide)
    await client.set("ballast:ledger:heads", b"of another release")
    run = AuditRun(client, store, time.time)
    run.begin()
    await until(lambda: run.report()["state"] == "failed")
    assert "JSONDecodeError" in run.report()["failure"]
    await noted_heads.forget(client)
    run.begin()
    await until(lambda: run.report()["state"] == "done")


async def test_an_audit_ends_with_its_owner(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await drained(client, store, tmp_path, decide)
    run = AuditRun(client, store, time.time)
    run.begin()
    await run.close()
    assert run.report()["state"] == "failed"
