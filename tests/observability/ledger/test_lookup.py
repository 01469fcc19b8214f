import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.errors import ClickhouseUnavailableError, LedgerUnavailableError
from observability.ledger.decision import Decision
from observability.ledger.drain import Drain
from observability.ledger.lookup import AUDIT_FIELDS, Lookup
from observability.ledger.proof import verify_proof
from observability.ledger.writer import LedgerWriter

Decide = Callable[..., list[Decision]]


async def write(client: Redis, folder: Path, *batches: list[Decision], writer: str = "w") -> None:
    async with LedgerWriter(client, writer=writer, spool_dir=folder, clock=time.time) as pen:
        for batch in batches:
            await pen.append(batch)


async def drained(client: Redis, store: Clickhouse) -> None:
    """Drain everything, and leave nothing in the stream but its last message."""
    await Drain(client, store, margin_s=-3600).step()
    assert await client.xlen("ballast:ledger") == 1


def names(found: list[dict[str, Any]]) -> list[str]:
    return [row["decision_id"] for row in found]


async def test_a_decision_is_found_in_the_stream_and_after_it_was_drained(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    batch = decide(3)
    await write(client, tmp_path, batch, decide(1))
    lookup = Lookup(client, store)
    expected = [orjson.loads(decision.row) for decision in batch]
    assert [await lookup.find(d.decision_id) for d in batch] == expected
    await drained(client, store)
    assert [await lookup.find(d.decision_id) for d in batch] == expected


@pytest.mark.parametrize("name", ["", "x", "' OR 1=1 --", "{id:String}", "\\", "a\nb\t\0"])
async def test_a_decision_that_never_was_is_not_found(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide, name: str
) -> None:
    await write(client, tmp_path, decide(2))
    lookup = Lookup(client, store)
    assert await lookup.find(name) is None
    assert await lookup.proof(name) is None
    await drained(client, store)
    assert await lookup.find(name) is None
    assert await lookup.proof(name) is None


async def test_an_id_that_another_row_only_mentions_is_not_found(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(2, feedback_for="mentioned"))
    assert await Lookup(client, store).find("mentioned") is None


async def test_the_newest_come_first_from_both_parts_without_repetition(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    older, newer = decide(5), decide(5)
    await write(client, tmp_path, older)
    await Drain(client, store).step()  # in both parts now
    await write(client, tmp_path, newer, writer="v")
    expected = sorted((d.decision_id for d in older + newer), reverse=True)
    lookup = Lookup(client, store)
    for limit in (1, 5, 7, 10, 100):
        assert names(await lookup.newest(limit)) == expected[:limit]


async def test_the_list_can_be_narrowed_to_a_family_and_a_time(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    tail, market = decide(2), decide(3, family="market")
    await write(client, tmp_path, tail, market)
    lookup = Lookup(client, store)
    now, later = datetime.now(UTC), datetime.fromtimestamp(time.time() + 60, UTC)
    an_hour_ago = datetime.fromtimestamp(time.time() - 3600, UTC)
    assert now < later
    for _ in ("in the stream", "drained"):
        assert set(names(await lookup.newest(9, family="market"))) == {
            d.decision_id for d in market
        }
        assert await lookup.newest(9, family="x' OR '1'='1") == []
        assert len(await lookup.newest(9, since=an_hour_ago)) == 5
        assert await lookup.newest(9, since=later) == []
        assert len(await lookup.newest(1, family="tail", since=an_hour_ago)) == 1
        await Drain(client, store, margin_s=-3600).step()


async def test_decisions_that_broke_a_limit_are_listed_by_family_and_severity(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    def judged(*levels: str) -> dict[str, Any]:
        return {"safety": {"violations": [{"rule": "r", "level": each} for each in levels]}}

    fine = decide(2, answer=judged())
    warned = decide(1, answer=judged("warning"))
    both = decide(1, answer=judged("warning", "critical"), family="market")
    # What only looks like a violation, since a client wrote it, is none.
    written_by_a_client = decide(
        1, answer=judged(), request={"violations": [{"level": "critical"}]}
    )
    await write(client, tmp_path, fine, warned, both, written_by_a_client)
    lookup = Lookup(client, store)
    later = datetime.fromtimestamp(time.time() + 60, UTC)
    for _ in ("in the stream", "drained"):
        found = await lookup.violations(9)
        assert names(found) == [both[0].decision_id, warned[0].decision_id]
        assert names(await lookup.violations(1)) == [both[0].decision_id]
        assert names(await lookup.violations(9, severity="critical")) == [both[0].decision_id]
        assert names(await lookup.violations(9, family="tail")) == [warned[0].decision_id]
        assert await lookup.violations(9, severity="unsafe") == []
        assert await lookup.violations(9, since=later) == []
        await Drain(client, store, margin_s=-3600).step()


async def test_a_listed_decision_has_every_field_of_the_audit(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(1, signal_prob=0.7))
    (row,) = await Lookup(client, store).newest(1)
    assert set(AUDIT_FIELDS) <= set(row)
    assert row["signal_prob"] == 0.7
    assert row["regime"] is None


async def test_a_proof_can_be_made_before_and_after_the_drain(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    batches = [decide(7), decide(1), decide(2)]
    await write(client, tmp_path, *batches)
    lookup = Lookup(client, store)
    decisions = [decision for batch in batches for decision in batch]
    undrained = [await lookup.proof(d.decision_id) for d in decisions]
    await drained(client, store)
    assert [await lookup.proof(d.decision_id) for d in decisions] == undrained
    for decision, proof in zip(decisions, undrained, strict=True):
        assert proof is not None
        assert verify_proof(proof)
        assert proof.row == decision.row
        assert (proof.successor is None) == (decision in batches[-1])


async def test_the_proof_of_a_drained_entry_finds_its_successor_in_the_stream(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    first, second = decide(2), decide(1)
    async with LedgerWriter(client, writer="w", spool_dir=tmp_path, clock=time.time) as pen:
        await pen.append(first)
        await drained(client, store)
        await pen.append(second)
    proof = await Lookup(client, store).proof(first[0].decision_id)
    assert proof is not None
    assert proof.successor is not None
    assert proof.successor.header.seq == 2
    assert verify_proof(proof)


async def test_a_proof_of_a_row_that_was_altered_in_clickhouse_does_not_hold(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    batch = decide(2)
    await write(client, tmp_path, batch)
    await drained(client, store)
    store.execute(
        "ALTER TABLE decisions UPDATE row = replaceOne(row, 'orders', 'others') "
        "WHERE leaf = 0 SETTINGS mutations_sync = 1"
    )
    for decision in batch:  # the row's neighbours have lost their proof as well
        proof = await Lookup(client, store).proof(decision.decision_id)
        assert proof is not None
        assert not verify_proof(proof)


async def test_while_redis_is_away_what_was_drained_is_found(
    redis_server: Any, client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    batch = decide(2)
    await write(client, tmp_path, batch)
    await drained(client, store)
    redis_server.kill()
    lookup = Lookup(client, store)
    for decision in batch:
        assert await lookup.find(decision.decision_id) == orjson.loads(decision.row)
    assert len(await lookup.newest(5)) == 2
    with pytest.raises(LedgerUnavailableError, match="Redis cannot be reached"):
        await lookup.find("unknown")


async def test_while_clickhouse_is_away_only_the_unknown_is_uncertain(
    client: Redis, store: Any, tmp_path: Path, decide: Decide
) -> None:
    batch = decide(1)
    await write(client, tmp_path, batch)
    store.close()
    lookup = Lookup(client, store)
    assert await lookup.find(batch[0].decision_id) == orjson.loads(batch[0].row)
    with pytest.raises(ClickhouseUnavailableError):
        await lookup.find("unknown")
