import asyncio

import pytest

from config_store.shared_loads import SharedLoads
from tests.waiting import until


class Loading:
    """Loads when it is let go, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        await self.gate.wait()
        return self.begun


async def test_all_who_wait_at_a_time_share_one_load_and_the_next_begins_anew() -> None:
    loads, load = SharedLoads[str, int](), Loading()
    waiters = [asyncio.create_task(loads.get("a", load)) for _ in range(5)]
    await until(lambda: load.begun == 1)
    load.gate.set()
    assert await asyncio.gather(*waiters) == [1] * 5
    assert await loads.get("a", load) == 2


async def test_each_thing_is_loaded_by_itself() -> None:
    loads, load = SharedLoads[str, int](), Loading()
    waiters = [asyncio.create_task(loads.get(key, load)) for key in "ab"]
    await until(lambda: load.begun == 2)
    load.gate.set()
    await asyncio.gather(*waiters)


async def test_a_waiter_that_leaves_takes_the_load_from_nobody() -> None:
    loads, load = SharedLoads[str, int](), Loading()
    first, second = (asyncio.create_task(loads.get("a", load)) for _ in range(2))
    await until(lambda: load.begun == 1)
    first.cancel()
    load.gate.set()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failure_is_heard_by_all_who_wait_and_remembered_by_none() -> None:
    loads = SharedLoads[str, int]()

    async def failing() -> int:
        await asyncio.sleep(0)
        raise ConnectionError("away")

    async def working() -> int:
        return 3

    heard = await asyncio.gather(
        *(loads.get("a", failing) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in heard] == [ConnectionError] * 3
    assert await loads.get("a", working) == 3
