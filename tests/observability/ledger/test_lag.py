"""The drain's lag, which must also grow while there is no drain."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger.decision import Decision
from observability.ledger.drain import Drain
from observability.ledger.lag import drain_lag_s
from observability.ledger.writer import LedgerWriter, Timing
from tests.waiting import PATIENCE_SECONDS

# A busy machine is no Redis that is away.
PATIENT = Timing(timeout=PATIENCE_SECONDS)
Decide = Callable[..., list[Decision]]
Eventually = Callable[..., Awaitable[None]]


async def write(client: Redis, folder: Path, batch: list[Decision], writer: str = "w") -> None:
    async with LedgerWriter(
        client, writer=writer, spool_dir=folder, clock=time.time, timing=PATIENT
    ) as pen:
        await pen.append(batch)


async def test_it_is_the_age_of_the_oldest_decision_that_is_not_drained(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    assert await drain_lag_s(client) == 0
    await write(client, tmp_path, decide(1))

    async def lags() -> bool:
        return await drain_lag_s(client) > 0.3

    await eventually(lags)
    await write(client, tmp_path, decide(1), writer="v")
    assert await drain_lag_s(client) > 0.3  # newer ones do not make it younger
    await Drain(client, store).step()
    assert await drain_lag_s(client) == 0


async def test_a_redis_that_began_anew_lags_from_its_first_message(
    client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    """Its clock may have been set back, so that its ids are lower than the one noted down."""
    await client.set("ballast:ledger:drained", "99999999999999-0")
    assert await drain_lag_s(client) == 0
    await write(client, tmp_path, decide(1))

    async def lags() -> bool:
        return await drain_lag_s(client) > 0

    await eventually(lags)
