import asyncio

import pytest

from features.shared_fetch import SharedFetch
from tests.waiting import until


class Place:
    """Where is fetched from; it answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.open = asyncio.Event()
        self.broken = False

    async def fetch(self, names: list[str]) -> dict[str, str]:
        self.asked.append(names)
        await self.open.wait()
        if self.broken:
            raise OSError("it is away")
        return {name: name.upper() for name in names}


async def test_many_readers_who_wait_share_one_fetch() -> None:
    place = Place()
    shared = SharedFetch(place.fetch)
    readers = [asyncio.create_task(shared.get(["a", "b"])) for _ in range(50)]
    await until(lambda: place.asked != [])
    readers.append(asyncio.create_task(shared.get(["b", "c"])))
    await until(lambda: len(place.asked) == 2)
    assert not any(each.done() for each in readers)
    place.open.set()
    found = await asyncio.gather(*readers)
    assert found == [{"a": "A", "b": "B"}] * 50 + [{"b": "B", "c": "C"}]
    assert place.asked == [["a", "b"], ["c"]]
    assert await shared.get(["a"]) == {"a": "A"}
    assert place.asked[-1] == ["a"], "what was fetched is not on its way any more"


async def test_a_reader_that_leaves_takes_no_others_fetch_with_it() -> None:
    place = Place()
    shared = SharedFetch(place.fetch)
    first = asyncio.create_task(shared.get(["a"]))
    await until(lambda: place.asked != [])
    second = asyncio.create_task(shared.get(["a"]))
    await asyncio.sleep(0)
    first.cancel()
    place.open.set()
    await second
    assert place.asked == [["a"]]


async def test_a_fetch_that_fails_fails_for_all_who_wait_and_is_tried_anew() -> None:
    place = Place()
    place.broken = True
    shared = SharedFetch(place.fetch)
    readers = [asyncio.create_task(shared.get(["a"])) for _ in range(3)]
    place.open.set()
    found = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(each) for each in found] == [OSError] * 3
    place.broken = False
    await shared.get(["a"])


async def test_closing_ends_what_is_on_its_way() -> None:
    place = Place()
    shared = SharedFetch(place.fetch)
    reader = asyncio.create_task(shared.get(["a"]))
    await until(lambda: place.asked != [])
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await reader
