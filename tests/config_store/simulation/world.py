"""One schedule: processes that take turns at random, crash, lose Redis, and go on.

All that happens is drawn from one generator, so its seed reproduces the schedule. What runs is the
product: `SteeringStore` and its transitions over a Redis in memory, and the choice of versions.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
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
from tests.config_store.simulation import invariants
from tests.config_store.simulation.gateways import KEYS, SKEW_SECONDS, Clients, Gateway
from tests.config_store.simulation.invariants import ViolationError, check
from tests.config_store.simulation.operators import OPERATORS, draw
from tests.config_store.simulation.simulated_redis import Connection, Contents, SimulatedRedis

BEGIN = 1_772_000_000.0
STEPS = 200
MOST_AT_ONCE = 4
GATEWAYS = 3


@dataclass
class Process:
    """A coroutine that is held up at a command to Redis."""

    name: str
    work: Coroutine[Any, Any, None]
    connection: Connection
    commands: tuple[Command, ...] = ()
    by: Actor | None = None


@dataclass(frozen=True)
class Document:
    """As much of a configuration as steering looks at."""

    text: str

    @property
    def config_hash(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    def canonical(self) -> bytes:
        return self.text.encode()


class World:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = BEGIN
        self._notes: list[tuple[float, str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.redis = SimulatedRedis(lambda: self.now)
        self.redis.notice = self._tell
        self.clients = Clients()
        self.processes: list[Process] = []
        self.gateways = [self._gateway(f"gateway {at}") for at in range(GATEWAYS)]
        # People come and go by one connection: nothing of a process is in it.
        self._connection = self._connect()
        self._store = SteeringStore(cast("Redis", self._connection))
        self.epoch = 0
        self.state: SteeringState | None = None
        self.states: list[SteeringState] = []
        self.drafted: set[int] = set()
        self.acknowledged: list[SteeringState] = []
        self._snapshots: list[tuple[float, Contents]] = []
        self._running: Process | None = None
        self._names = 0
        for _ in range(random.choice((1, 1, 3))):
            self._publish()
        self.redis.activate(len(self.redis.contents.versions))

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

    @property
    def trace(self) -> list[str]:
        """What happened, a line each; only written out where somebody asks."""
        return [
            f"{at - BEGIN:8.2f}  {words} {', '.join(map(_named, commands))}"
            for at, words, commands in self._notes
        ]

    # What happens

    def _go_on(self) -> None:
        if not self.redis.up and self.random.random() < 0.3:
            self._note("redis is back")
            self.redis.up = True
        for _ in range(self.random.randint(1, 8)):
            if self.processes:
                self._resume(self.random.choice(self.processes))

    def _command(self) -> None:
        if len(self.processes) >= MOST_AT_ONCE:
            return
        seen = self._known()
        if seen is None:
            self._start("first", self._founding(), self._connection)
            return
        commands, by = draw(self.random, seen, self.now, self._name)
        self._ask_for(commands, by, again=self.random.random() < 0.3)

    def _ask_for(self, commands: tuple[Command, ...], by: Actor, *, again: bool) -> None:
        store, now = self._store, self.now + self._skew()

        async def work() -> None:
            for _ in range(2 if again else 1):
                try:
                    changed = await store.change(commands, by, now)
                except RedisConnectionError:
                    self._note(f"{by.name} does not know whether it was made")
                except ConfigError as refusal:
                    self._note(f"{by.name} is refused: {refusal}")
                    self.counts["refused"] += 1
                    return
                else:
                    self.acknowledged.append(changed.state)
                    return

        self._start(by.name, work(), self._connection, commands, by)

    def _draft(self) -> None:
        store, by = self._store, self.random.choice(OPERATORS)
        now, document = self.now + self._skew(), self._document()

        async def work() -> None:
            try:
                life = await store.draft(cast("ConfigDocument", document), "a try", by, now)
            except (RedisConnectionError, ConfigError) as refusal:
                self._note(f"{by.name} has no draft: {refusal}")
            else:
                check(life.content_hash == document.config_hash, "another document was drafted")

        self._start(f"{by.name} drafts", work(), self._connection, (), by)

    async def _founding(self) -> None:
        try:
            await self._store.found(OPERATORS[3], self.now)
        except RedisConnectionError:
            self._note("it is not founded")

    def _look(self) -> None:
        gateway = self.random.choice(self.gateways)
        if gateway.wants(self.now):
            self._start(gateway.name, gateway.load(lambda: self.now), gateway.connection)

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
            for process in [p for p in self.processes if p.connection is gateway.connection]:
                self._end(process)
            self._note(f"{gateway.name} starts anew")
            gateway.restart()
        elif self.processes:
            process = self.random.choice(self.processes)
            self._note(f"{process.name} crashes", process.commands)
            self.counts["crashes"] += 1
            self._end(process)

    def _kill_redis(self) -> None:
        """Kill it; one time in three it comes back without its last second."""
        self.redis.up = False
        forgets = self.random.random() < 0.33
        self._note(f"redis is killed{' and forgets' if forgets else ''}")
        self.counts["kills of Redis"] += 1
        recent = [each for at, each in self._snapshots if at >= self.now - 1.0]
        if forgets and recent:
            self._forget(recent[0])

    def _old_tool(self) -> None:
        """Publish, and mostly activate, as releases did that knew no steering."""
        if not self.redis.up:
            return
        self._snapshot()
        self._publish()
        self._note("an old tool publishes")
        if self.random.random() < 0.7:
            self.redis.activate(len(self.redis.contents.versions))
            self.epoch += 1
            self._tell()

    # How it is held together

    def _start(
        self,
        name: str,
        work: Coroutine[Any, Any, None],
        connection: Connection,
        commands: tuple[Command, ...] = (),
        by: Actor | None = None,
    ) -> None:
        process = Process(name, work, connection, commands, by)
        self._note(f"begins: {name}", commands)
        self.processes.append(process)
        self._resume(process)

    def _resume(self, process: Process) -> None:
        self._running = process
        try:
            process.work.send(None)
        except StopIteration:
            self.processes.remove(process)
            if process.connection is not self._connection:
                self._ask_beside()
        finally:
            self._running = None

    def _end(self, process: Process) -> None:
        process.work.close()
        self.processes.remove(process)

    def _connect(self) -> Connection:
        return Connection(self.redis, self._executed)

    def _gateway(self, name: str) -> Gateway:
        connection = self._connect()
        skew = self.random.uniform(-SKEW_SECONDS, SKEW_SECONDS)
        return Gateway(name, connection, SteeringStore(cast("Redis", connection)), skew)

    def _executed(self, connection: Connection, name: str, found: Any) -> None:
        if name == "read":
            for gateway in self.gateways:
                if gateway.connection is connection:
                    gateway.read_epoch = self.epoch
        elif found == 1:
            self._written()

    def _written(self) -> None:
        """Hold what was just stored against what was there before."""
        assert self._running is not None
        contents, before = self.redis.contents, self.state
        state = SteeringState.model_validate_json(contents.steering["state"])
        process = self._running
        self._note(
            f"stored {state.revision}: active {state.active}, by {process.name}", process.commands
        )
        self.counts["changes stored"] += 1
        if before is not None and before.active != state.active:
            self.counts["switches of the active version"] += 1
        for command in process.commands:
            self.counts[f"made: {type(command).__name__}"] += 1
        self.drafted |= set(state.versions)
        invariants.one_active(state)
        invariants.pointer_follows(state, contents)
        invariants.nothing_lost(state, contents, self.drafted)
        invariants.is_tree(before, state)
        invariants.documents_match(state, contents)
        invariants.way_back(state)
        invariants.has_an_end(state)
        if before is not None:
            invariants.goes_forward(before, state)
            invariants.shares_only_grow(before, state)
            self._hold(before, state, process)
        if invariants.is_jump(before, state):
            self.epoch += 1
        self._snapshot()
        self.state = state
        self.states.append(state)

    def _hold(self, before: SteeringState, state: SteeringState, process: Process) -> None:
        by = process.by or OPERATORS[0]
        invariants.emergency_stays(before, state, process.commands, by)
        if self.redis.pointer_before == b"%d" % before.active:  # not past steering
            judged = invariants.judged_within(before, process.commands)
            invariants.steps_are_earned(judged, state)
            invariants.deploys_are_earned(before, state, process.commands)

    def _snapshot(self) -> None:
        self._snapshots.append((self.now, self.redis.snapshot()))
        del self._snapshots[:-5]

    def _forget(self, contents: Contents) -> None:
        self.redis.contents = contents
        self.counts["losses of a second"] += 1
        text = contents.steering.get("state")
        self.state = SteeringState.model_validate_json(text) if text else None
        self.drafted = set(contents.versions) & self.drafted
        self.acknowledged.clear()
        self._snapshots.clear()
        self.epoch += 1

    def _known(self) -> SteeringState | None:
        """Give what an operator may have on the screen: mostly the last state."""
        if not self.states:
            return None
        if self.random.random() < 0.85:
            return self.states[-1]
        return self.random.choice(self.states[-4:])

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

    def _settle(self) -> None:
        """All is well again: every gateway comes to know what is stored."""
        self.redis.up = True
        for gateway in self.gateways:
            gateway.connection.cut = False
        while self.processes:
            self._resume(self.processes[0])
        for gateway in self.gateways:
            gateway.told = True
            self._start(gateway.name, gateway.load(lambda: self.now), gateway.connection)
        while self.processes:
            self._resume(self.processes[0])
        for gateway in self.gateways:
            check(gateway.view is not None, f"{gateway.name} knows nothing")
            if gateway.view is not None and self.state is not None:
                pointer = b"%d" % gateway.view.active
                check(pointer == self.redis.contents.pointer, f"{gateway.name} goes by another")

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
    except (ViolationError, AssertionError, KeyError, ValueError, TypeError) as violation:
        trace = "\n".join(world.trace[-40:])
        raise ViolationError(
            f"{violation!r}\nschedule {number} of seed {seed}:\n{trace}"
        ) from violation
    finally:
        for process in world.processes:
            process.work.close()
    return world
