"""Our lane beside serve.batch: how long a lone client waits, and what 64 clients get.

The handler takes 4 ms a batch, whatever its size, as the hops of the DAG nearly do. Clients ask
again once they are answered: at once (in step), or after a pause of 2 ms on average (apart), as
clients behind a network do.
"""

import asyncio
import logging
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

from ray import serve
from ray.serve import context
from ray.serve._private.common import DeploymentID, ReplicaID
from ray.serve._private.config import DeploymentConfig
from ray.serve.schema import ReplicaRank

from benchmarks.decisions.figures import is_quick, quantile_ms, show
from deployments.gateway.lanes.lane import Lane, LaneLimits

HANDLER_SECONDS = 0.004
CAP = 64
PAUSE_SECONDS = 0.002
TIMERS = (0.0, 0.001, 0.005, 0.01)  # seconds; the last is serve.batch's default
PARTS = 8

Ask = Callable[[int], Awaitable[object]]
Carry = Callable[[list[int]], Awaitable[list[int]]]


@dataclass(slots=True)
class Books:
    """What one run saw: when each answer came, how long each took, how large the batches were."""

    answered: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    async def carry(self, rows: list[int]) -> list[int]:
        self.sizes.append(len(rows))
        await asyncio.sleep(HANDLER_SECONDS)
        return rows

    def rate(self) -> float:
        """Take the median over parts of the run, so that a stall of the machine counts once."""
        size = max(len(self.answered) // PARTS, 1)
        ends = self.answered[::size]
        return statistics.median(size / (end - start) for start, end in pairwise(ends))


def our_lane(carry: Carry) -> Ask:
    lane: Lane[int, int] = Lane(carry, LaneLimits(CAP, 1, 100_000), time.monotonic)

    async def ask(row: int) -> object:
        return await lane.ask([row], time.monotonic() + 60)

    return ask


def serve_batch(carry: Carry, timer: float) -> Ask:
    batched: Ask = serve.batch(max_batch_size=CAP, batch_wait_timeout_s=timer)(carry)
    return batched


def stand_in_a_replica() -> None:
    """Give serve.batch the replica that it asks for its bounds."""
    context._set_internal_replica_context(  # noqa: SLF001 - Serve offers no other way outside of one
        replica_id=ReplicaID("bench", DeploymentID(name="bench")),
        servable_object=None,
        _deployment_config=DeploymentConfig(max_ongoing_requests=100_000),
        rank=ReplicaRank(rank=0, node_rank=0, local_rank=0),
        world_size=1,
    )


async def drive(ask: Ask, books: Books, clients: int, pause: float, seconds: float) -> None:
    rng = random.Random(clients)  # noqa: S311 - pauses, not secrets
    stop = time.perf_counter() + seconds

    async def client() -> None:
        while (asked := time.perf_counter()) < stop:
            if pause:
                await asyncio.sleep(rng.expovariate(1 / pause))
                asked = time.perf_counter()
            await ask(1)
            books.answered.append(time.perf_counter())
            books.took.append(books.answered[-1] - asked)

    await asyncio.gather(*(client() for _ in range(clients)))


async def measured(name: str, clients: int, pause: float, seconds: float) -> list[str]:
    books = Books()

    async def carry(rows: list[int]) -> list[int]:  # serve.batch wants a plain function
        return await books.carry(rows)

    ask = our_lane(carry) if name == "lane" else serve_batch(carry, float(name))
    await drive(ask, books, clients, pause, seconds)
    return [
        "our lane" if name == "lane" else f"serve.batch, timer {float(name) * 1e3:g} ms",
        f"{books.rate():,.0f}",
        f"{statistics.mean(books.sizes):.1f}",
        f"{quantile_ms(books.took, 0.5):.1f}",
        f"{quantile_ms(books.took, 0.99):.1f}",
    ]


async def run(*, quick: bool) -> None:
    stand_in_a_replica()
    head = ("", "requests/s", "rows a batch", "p50 ms", "p99 ms")
    names = ["lane", *(str(timer) for timer in TIMERS)]
    for title, clients, pause in (
        ("1 client", 1, 0.0),
        ("64 clients, apart", 64, PAUSE_SECONDS),
        ("64 clients, in step: as many as fill a batch", 64, 0.0),
    ):
        rows = [await measured(name, clients, pause, 0.3 if quick else 1.5) for name in names]
        show(title, head, rows)


if __name__ == "__main__":
    # serve.batch leaves a task behind for each function it wraps, and asyncio says so at the end.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asyncio.run(run(quick=is_quick(__doc__)))
