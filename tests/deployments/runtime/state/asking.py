"""Rows for a service of tallies, and what comes back of them."""

from itertools import count

from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.service import KeyedService
from tests.deployments.runtime.state.tally import Tally

Service = KeyedService[Tally]
SMALL = StateCacheLimits(snapshot_after_entries=4, idle_seconds=10, most_residents=8)

_numbers = count()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def batch(*rows: tuple[str, object], ids: list[str] | None = None) -> Batch:
    names = [key for key, _ in rows]
    made = [f"00000000-0000-7000-8000-{next(_numbers):012x}" for _ in rows]
    return Batch("tally", names, {}, [ask for _, ask in rows], names, ids or made)


async def ask(
    service: Service, *rows: tuple[str, object], ids: list[str] | None = None
) -> Prediction:
    return await service.answer(batch(*rows, ids=ids), "tally/plain", "1")


async def totals(service: Service, *rows: tuple[str, object]) -> list[float]:
    found: list[float] = (await ask(service, *rows)).columns["total"].tolist()
    return found


def expected(numbers: list[float]) -> float:
    tally = Tally("")
    for number in numbers:
        tally.add(number)
    return tally.total
