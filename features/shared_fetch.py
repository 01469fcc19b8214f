"""One fetch for many readers who wait: what is on its way is not asked for again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

Found = TypeVar("Found")


class SharedFetch(Generic[Found]):
    """Fetches by name; whoever asks for a name that is being fetched waits for that fetch."""

    def __init__(self, fetch: Callable[[list[str]], Awaitable[Mapping[str, Found]]]) -> None:
        """Take what gives something for each name."""
        self._fetch = fetch
        self._on_the_way: dict[str, asyncio.Task[Mapping[str, Found]]] = {}

    async def get(self, names: Sequence[str]) -> dict[str, Found]:
        """Give what was fetched for each name; raises what the fetch of one raised.

        A reader that leaves takes no other's fetch with it.
        """
        if new := [name for name in names if name not in self._on_the_way]:
            self._begin(new)
        task_of = {name: self._on_the_way[name] for name in names}
        await asyncio.wait({*task_of.values()})
        return {name: task.result()[name] for name, task in task_of.items()}

    async def close(self) -> None:
        """End what is on its way."""
        tasks = {*self._on_the_way.values()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, names: list[str]) -> None:
        task = asyncio.ensure_future(self._fetch_all(names))
        self._on_the_way |= dict.fromkeys(names, task)
        task.add_done_callback(lambda done: self._settle(names, done))

    async def _fetch_all(self, names: list[str]) -> Mapping[str, Found]:
        return await self._fetch(names)

    def _settle(self, names: list[str], done: asyncio.Task[Mapping[str, Found]]) -> None:
        if not done.cancelled():
            done.exception()  # of which nobody else may hear, where all readers have left
        for name in names:
            del self._on_the_way[name]
