"""A queue in which owners take turns: who sends much waits behind its own, not before others."""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


def have_room(queues: "Sequence[FairQueue[Item]]", owner: str, weight: int, bound: int) -> bool:
    """Tell whether an item may wait in one of several queues that share a bound."""
    if sum(each.weight for each in queues) + weight <= bound:
        return True
    owners = {owner}.union(*(each.owners() for each in queues))
    own = sum(each.weight_of(owner) for each in queues)
    return own + weight <= bound // len(owners)


class FairQueue(Generic[Item]):
    """First in, first out for each owner; owners take turns, an item each."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[tuple[Item, int]]] = OrderedDict()
        self._weights: dict[str, int] = {}
        self.weight = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Item]:
        """Go through all that wait, in no order that says who is next."""
        for queue in self._queues.values():
            for item, _ in queue:
                yield item

    def has_room(self, owner: str, weight: int, bound: int) -> bool:
        """Tell whether an item may wait too; one that finds nobody waiting always may.

        When all together are over the bound, an owner may still have an equal share of it: a
        queue that one owner has filled refuses that owner, and no other.
        """
        if not self._queues or self.weight + weight <= bound:
            return True
        owners = len(self._queues.keys() | {owner})
        return self._weights.get(owner, 0) + weight <= bound // owners

    def owners(self) -> Collection[str]:
        return self._queues.keys()

    def weight_of(self, owner: str) -> int:
        return self._weights.get(owner, 0)

    def add(self, owner: str, item: Item, weight: int) -> None:
        queue = self._queues.get(owner)
        if queue is None:
            queue = self._queues[owner] = deque()
        queue.append((item, weight))
        self._weights[owner] = self._weights.get(owner, 0) + weight
        self.weight += weight

    def peek(self) -> Item:
        """Show the next item, which stays."""
        return next(iter(self._queues.values()))[0][0]

    def take(self) -> Item:
        """Give the next item; its owner's next one waits until all others had their turn."""
        owner, queue = next(iter(self._queues.items()))
        item, weight = queue.popleft()
        self.weight -= weight
        if queue:
            self._weights[owner] -= weight
            self._queues.move_to_end(owner)
        else:
            del self._queues[owner], self._weights[owner]
        return item
