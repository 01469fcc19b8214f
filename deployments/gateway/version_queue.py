"""A fair queue for each version that rows wait for: a batch has rows of one version alone.

Were they one queue, a canary of half the keys would cut every batch short where the next request is
of the other version, and the lanes would carry a row or two at a time.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from deployments.gateway.fair_queue import FairQueue

Item = TypeVar("Item")


class VersionQueue(Generic[Item]):
    """Whose next item came first has its turn: under load no version waits longer than another."""

    def __init__(self, order: Callable[[Item], int]) -> None:
        self._order = order
        self._queues: dict[int, FairQueue[Item]] = {}
        self.weight = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def has_room(self, owner: str, weight: int, bound: int) -> bool:
        """Tell whether an item may wait too, whatever its version: see FairQueue."""
        if not self._queues or self.weight + weight <= bound:
            return True
        queues = self._queues.values()
        owners = {owner}.union(*(each.owners() for each in queues))
        own = sum(each.weight_of(owner) for each in queues)
        return own + weight <= bound // len(owners)

    def add(self, version: int, owner: str, item: Item, weight: int) -> None:
        queue = self._queues.get(version)
        if queue is None:
            queue = self._queues[version] = FairQueue()
        queue.add(owner, item, weight)
        self.weight += weight

    def next_version(self) -> int:
        """Name the version whose turn it is."""
        if len(self._queues) == 1:
            return next(iter(self._queues))
        return min(self._queues, key=lambda each: self._order(self._queues[each].peek()))

    def peek(self, version: int) -> Item | None:
        """Show the next item of a version, which stays; None where none waits."""
        queue = self._queues.get(version)
        return None if queue is None else queue.peek()

    def take(self, version: int) -> Item:
        """Give the next item of a version that has one."""
        queue = self._queues[version]
        before = queue.weight
        item = queue.take()
        self.weight -= before - queue.weight
        if not queue:
            del self._queues[version]
        return item
