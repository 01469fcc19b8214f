"""One schedule: people, gateways and Redis, all that may happen to them, drawn at random.

All of it is drawn from one generator, so its seed reproduces the schedule. What runs is the
product: `SteeringStore` and its transitions over a Redis in memory, the watch's rule, the choice of
versions.
"""

from collections.abc import Callable
from random import Random
from typing import Any, cast

import orjson
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.document import ConfigDocument
from config_store.errors import ConfigError
from config_store.steering.commands import Actor, Command
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from tests.config_store.simulation.chain import Chain
from tests.config_store.simulation.gateways import KEYS, SKEW_SECONDS, Clients, Gateway
from tests.config_store.simulation.invariants import ViolationError, check
from tests.config_store.simulation.operators import ADMIN, OPERATORS, PLATFORM, draw
from tests.config_store.simulation.processes import Document, Process, Processes
from tests.config_store.simulation.simulated_redis import Connection, SimulatedRedis

BEGIN = 1_772_000_000.0
STEPS = 200
MOST_AT_ONCE = 4
GATEWAYS = 3


class World:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = BEGIN
        self._notes: list[tuple[float, str, tuple[Command, ...]]] = []
        self.redis = SimulatedRedis(lambda: self.now)
        self.redis.notice = self._tell
        self.chain = Chain(self.redis, lambda: self.now)
        self.counts = self.chain.counts
        self.clients = Clients()
        self.processes = Processes(random)
        self.gateways = [self._gateway(f"gateway {at}") for at in range(GATEWAYS)]
        # People come and go by one connection: nothing of a process is in it.
        self._connection = self._connect()
        self._store = SteeringStore(cast("Redis", self._connection))
        self._names = 0
        for _ in range(random.choice((1, 1, 3))):
            self._publish()
        self.redis.activate(len(self.redis.contents.versions))

    @property
    def trace(self) -> list[str]:
        """What happened, a line each; only written out where somebody asks."""
        return [
            f"{at - BEGIN:8.2f}  {words} {', '.join(map(_named, commands))}"
            for at, words, commands in self._notes
        ]

    def run(self) -> None:
        """Live through the schedule, then let all that is left come to its end."""
        actions: tuple[tuple[Callable[[], None], int], ...] = (
            (self._go_on, 40),
            (self._command, 30),
            (self._draft, 4),
            (self._look, 20),
            (self._ask, 12),
            (self._wait, 12),
            (self._cut, 1),
            (self._heal, 3),
            (self._crash, 2),
            (self._kill_redis, 1),
            (self._old_tool, 1),
        )
        choices, weights = zip(*actions, strict=True)
        for act in self.random.choices(choices, weights=weights, k=STEPS):
            act()
        self._settle()

    # What people do

    def _command(self) -> None:
        if len(self.processes) >= MOST_AT_ONCE:
            return
        seen = self._on_the_screen()
        if seen is None:
            self._begin("first", self._founding(), by=ADMIN)
            return
        commands, by = draw(self.random, seen, self.now, self._name)
        again = self.random.random() < 0.3
        self._begin(by.name, self._asking(commands, by, 2 if again else 1), commands, by)

    async def _asking(self, commands: tuple[Command, ...], by: Actor, times: int) -> None:
        now = self.now + self._skew()
        for _ in range(times):
            try:
                changed = await self._store.change(commands, by, now)
            except RedisConnectionError:
                self._note(f"{by.name} does not know whether it was made")
            except ConfigError as refusal:
                self._note(f"{by.name} is refused: {refusal}")
                self.counts["refused"] += 1
                return
            else:
                self.chain.acknowledge(changed.state)
                return

    def _draft(self) -> None:
        by = self.random.choice(OPERATORS)
        self._begin(f"{by.name} drafts", self._drafting(by, self._document()), by=by)

    async def _drafting(self, by: Actor, document: Document) -> None:
        wanted, now = cast("ConfigDocument", document), self.now + self._skew()
        try:
            life = await self._store.draft(wanted, "a try", by, now)
        except (RedisConnectionError, ConfigError) as refusal:
            self._note(f"{by.name} has no draft: {refusal}")
        else:
            check(life.content_hash == document.config_hash, "another document was drafted")

    async def _founding(self) -> None:
        try:
            self.chain.acknowledge(await self._store.found(ADMIN, self.now))
        except RedisConnectionError:
            self._note("it is not founded")

    def _old_tool(self) -> None:
        """Publish, and mostly activate, as releases did that knew no steering."""
        if not self.redis.up:
            return
        self.chain.keep()
        self._publish()
        self._note("an old tool publishes")
        if self.random.random() < 0.7:
            self.redis.activate(len(self.redis.contents.versions))
            self.chain.past_steering()
            self._tell()

    # What gateways and their clients do

    def _look(self) -> None:
        gateway = self.random.choice(self.gateways)
        if gateway.wants(self.now):
            self._load(gateway)

    def _ask(self) -> None:
        gateway = self.random.choice(self.gateways)
        for key in KEYS:
            self.clients.ask(gateway, key, self.now)
        self.counts["answers"] += len(KEYS)

    def _ask_beside(self) -> None:
        """Ask them all when one has learnt something: now they may differ."""
        if self.random.random() < 0.5:
            for gateway in self.gateways:
                self.clients.ask(gateway, self.random.choice(KEYS), self.now)
                self.counts["answers"] += 1

    # What happens to them

    def _go_on(self) -> None:
        if not self.redis.up and self.random.random() < 0.3:
            self._note("redis is back")
            self.redis.up = True
        for _ in range(self.random.randint(1, 8)):
            process = self.processes.any()
            if process is None:
                return
            if self.processes.resume(process) and process.connection is not self._connection:
                self._ask_beside()

    def _wait(self) -> None:
        self.now += self.random.choice((0.05, 0.3, 0.3, 1.0, 1.0, 2.0, 5.0, 12.0))

    def _cut(self) -> None:
        gateway = self.random.choice(self.gateways)
        self._note(f"{gateway.name} is cut off")
        gateway.connection.cut = True

    def _heal(self) -> None:
        for gateway in self.gateways:
            if gateway.connection.cut:
                gateway.connection.cut, gateway.told = False, True
                return

    def _crash(self) -> None:
        if self.random.random() < 0.3:
            gateway = self.random.choice(self.gateways)
            self._note(f"{gateway.name} starts anew")
            self.processes.end_those_of(gateway.connection)
            gateway.restart()
        elif (process := self.processes.any()) is not None:
            self._note(f"{process.name} crashes", process.commands)
            self.counts["crashes"] += 1
            self.processes.end(process)

    def _kill_redis(self) -> None:
        """Kill it; one time in three it comes back without its last second."""
        self.counts["kills of Redis"] += 1
        self.redis.kill()
        forgot = self.random.random() < 0.33 and self.chain.forget()
        self._note(f"redis is killed{' and forgets' if forgot else ''}")

    def _settle(self) -> None:
        """All is well again: every gateway comes to know what is stored."""
        self.redis.up = True
        for gateway in self.gateways:
            gateway.connection.cut = False
        self.processes.finish()
        for gateway in self.gateways:
            self._load(gateway)
        self.processes.finish()
        for gateway in self.gateways:
            found = b"" if gateway.view is None else b"%d" % gateway.view.active
            check(found == self.redis.contents.pointer, f"{gateway.name} goes by another version")

    # What they are made of

    def _begin(
        self, name: str, work: Any, commands: tuple[Command, ...] = (), by: Actor = PLATFORM
    ) -> None:
        self._note(f"begins: {name}", commands)
        self.processes.start(Process(name, work, self._connection, commands, by))

    def _load(self, gateway: Gateway) -> None:
        work = gateway.load(lambda: self.now)
        self.processes.start(Process(gateway.name, work, gateway.connection, (), PLATFORM))

    def _connect(self) -> Connection:
        return Connection(self.redis, self._executed)

    def _gateway(self, name: str) -> Gateway:
        connection = self._connect()
        return Gateway(name, connection, SteeringStore(cast("Redis", connection)), self._skew())

    def _executed(self, connection: Connection, name: str, found: Any) -> None:
        if name == "read":
            for gateway in self.gateways:
                if gateway.connection is connection:
                    gateway.read_epoch = self.chain.epoch
        elif found == 1:
            process = self.processes.running
            self._note(f"stored by {process.name}:", process.commands)
            self.chain.add(process.commands, process.by)

    def _on_the_screen(self) -> SteeringState | None:
        """Give what an operator may have on the screen: mostly the last state."""
        states = self.chain.states
        if self.random.random() < 0.85 or not states:
            return self.chain.state
        return self.random.choice(states[-4:])

    def _publish(self) -> None:
        document = self._document()
        record = {
            "config_hash": document.config_hash,
            "author": "an old tool",
            "reason": "by hand",
            "created": "2026-02-25T00:00:00+00:00",
            "document": document.text,
        }
        self.redis.publish(orjson.dumps(record))

    def _tell(self) -> None:
        for gateway in self.gateways:
            if not gateway.connection.cut:
                gateway.told = True

    def _document(self) -> Document:
        return Document(orjson.dumps({"try": self._name()}).decode())

    def _name(self) -> str:
        self._names += 1
        return f"n{self._names}"

    def _skew(self) -> float:
        return self.random.uniform(-SKEW_SECONDS, SKEW_SECONDS)

    def _note(self, words: str, commands: tuple[Command, ...] = ()) -> None:
        self._notes.append((self.now, words, commands))


def _named(command: Command) -> str:
    """Say what is asked in a line."""
    said = repr(command)
    return said if len(said) < 120 else f"{said[:117]}..."


def run_schedule(seed: int, number: int) -> World:
    """Run one schedule; a ViolationError carries its trace."""
    world = World(Random(f"{seed}:{number}"))  # noqa: S311 - schedules, not secrets
    try:
        world.run()
    except (AssertionError, LookupError, ValueError, TypeError) as violation:
        trace = "\n".join(world.trace[-40:])
        raise ViolationError(
            f"{violation!r}\nschedule {number} of seed {seed}:\n{trace}"
        ) from violation
    finally:
        world.processes.end_all()
    return world
