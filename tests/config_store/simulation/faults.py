"""What happens to people, gateways and Redis: crashes, partitions, and changes made by hand."""

from collections.abc import Callable
from typing import TYPE_CHECKING

MIXED = (0, 0.5, 1, 3)
# In a calm schedule rollouts come further.
CALM = 0.2

if TYPE_CHECKING:
    from tests.config_store.simulation.world import World


class Faults:
    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = world.random
        self._counts = world.counts

    def actions(self) -> list[tuple[Callable[[], None], float]]:
        """Give each, and how often it comes beside the others: in each schedule another mixture.

        What is rare together on the average is frequent together in some.
        """
        usual = (
            (self._cut, 1),
            (self._heal, 3),
            (self._cut_off, 2),
            (self._crash, 2),
            (self._kill_redis, 1.5),
            (self._spoil_document, 0.5),
            (self._spoil_state, 0.2),
            (self._restore, 6),
            (self._upgrade, 0.5),
        )
        share = CALM if self._random.random() < 0.4 else 1
        return [(act, share * often * self._random.choice(MIXED)) for act, often in usual]

    def _cut(self) -> None:
        gateway = self._random.choice(self._world.gateways)
        self._world.note(f"{gateway.name} is cut off")
        gateway.connection.cut = True

    def _heal(self) -> None:
        for gateway in self._world.gateways:
            if gateway.connection.cut:
                gateway.connection.cut, gateway.told = False, True
                return

    def _cut_off(self) -> None:
        """Break one connection in the middle of what is asked."""
        process = self._world.processes.any()
        if process is not None:
            self._world.note(f"{process.name} loses its connection", process.commands)
            self._counts["connections that broke"] += 1
            self._world.processes.cut_off(process)

    def _crash(self) -> None:
        if self._random.random() < 0.3:
            self._end_gateway()
        elif (process := self._world.processes.any()) is not None:
            self._world.note(f"{process.name} crashes", process.commands)
            self._counts["crashes"] += 1
            self._world.processes.end(process)

    def _end_gateway(self) -> None:
        gateway = self._random.choice(self._world.gateways)
        if not self._world.redis.contents.is_trusted:
            return  # what it knows may be all that is left
        self._world.note(f"{gateway.name} starts anew")
        self._world.processes.end_those_of(gateway.connection)
        gateway.restart()

    def _upgrade(self) -> None:
        """Put another release in a gateway's place: an earlier one cannot read later documents."""
        gateway = self._random.choice(self._world.gateways)
        gateway.reads_later = not gateway.reads_later
        self._counts["gateways of another release"] += 1
        self._end_gateway()

    def _kill_redis(self) -> None:
        """Kill it; one time in three it comes back without its last second."""
        self._counts["kills of Redis"] += 1
        self._world.redis.kill()
        forgot = self._random.random() < 0.33 and self._world.chain.forget()
        self._world.note(f"redis is killed{' and forgets' if forgot else ''}")

    def _spoil_document(self) -> None:
        """Remove a document by hand, or change it so that it is not what its hash says."""
        redis, founded = self._world.redis, self._world.chain.state is not None
        whole = sorted(redis.contents.versions.keys() - redis.contents.spoilt)
        if not founded or not whole or not redis.up:
            return
        self._world.chain.keep()
        number = self._random.choice(whole)
        spoil = self._random.choice((redis.spoil_document, redis.remove_document))
        self._world.note(f"{spoil.__name__} {number}")
        self._counts["documents that were spoilt"] += 1
        spoil(number)

    def _spoil_state(self) -> None:
        """Change the state by hand, while somebody knows it who can restore it."""
        redis = self._world.redis
        is_known = any(each.view is not None for each in self._world.gateways)
        if redis.up and redis.contents.steering and is_known:
            self._world.note("the state is spoilt")
            self._counts["states that were spoilt"] += 1
            redis.spoil_state()

    def _restore(self) -> None:
        if not self._world.redis.contents.is_trusted:
            self._world.restore(self._random.choice(self._world.gateways))
