"""One schedule: people, gateways and Redis, all that may happen to them, drawn at random.

All of it is drawn from one generator, so its seed reproduces the schedule. What runs is the
product: `SteeringStore` and its transitions over a Redis in memory, the watch's rule, the choice of
versions.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from config_store.errors import ConfigError
from config_store.steering.commands import (
    Actor,
    Command,
    Deploy,
    Expire,
    RollBack,
    Validated,
)
from config_store.steering.state import SteeringState, Strategy
from tests.config_store.simulation.chain import Chain
from tests.config_store.simulation.clients import KEYS, Clients
from tests.config_store.simulation.faults import Faults
from tests.config_store.simulation.gateways import SKEW_SECONDS, Gateway
from tests.config_store.simulation.invariants import ViolationError, check
from tests.config_store.simulation.operators import ADMIN, OPERATORS, PLATFORM, draw, wishes
from tests.config_store.simulation.people import People, clearing
from tests.config_store.simulation.processes import LATER, Document, Process, Processes
from tests.config_store.simulation.simulated_redis import Connection, SimulatedRedis

BEGIN = 1_772_000_000.0
STEPS = 200
MOST_AT_ONCE = 4
GATEWAYS = 3
LOST_NOTICES = 0.1


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
        self._connection = self._connect()
        self.people = People(random, self._connection, self.chain, lambda: self.now, self.note)
        self._names = 0
        self._wishes = wishes(random)
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
        faults = Faults(self)
        actions: list[tuple[Callable[[], None], float]] = [
            (self._go_on, 40),
            (self._command, 30),
            (self._draft, 4),
            (self._look, 20),
            (self._end_overdue, 8),
            (self._ask, 12),
            (self._wait, 16),
            (self._old_tool, 1),
            *faults.actions(),
        ]
        choices, weights = zip(*actions, strict=True)
        for act in self.random.choices(choices, weights=weights, k=STEPS):
            act()
        lived = self.counts.copy()
        self._settle()
        self.counts.clear()  # what everybody does at the end shows nothing of the schedule
        self.counts.update(lived)

    # What people do

    def _command(self) -> None:
        if len(self.processes) >= MOST_AT_ONCE:
            return
        seen = self._on_the_screen()
        if seen is None:
            self._begin("first", self.people.found(), by=ADMIN)
            return
        commands, by = draw(self.random, seen, self.now, self._name, self._wishes)
        times = 2 if self.random.random() < 0.3 else 1
        self._begin(by.name, self.people.ask(commands, by, times), commands, by)

    def _draft(self) -> None:
        by = self.random.choice(OPERATORS)
        self._begin_draft(self.people.draft(by, self._document()), by)

    def _old_tool(self) -> None:
        """Publish, and mostly activate, as releases did that knew no steering."""
        if not self.redis.up:
            return
        self.chain.keep()
        number = self._publish()
        self.note("an old tool publishes")
        if self.random.random() < 0.7:
            self.redis.activate(number)
            self.chain.past_steering()
            self._tell()

    # What gateways and their clients do

    def _look(self) -> None:
        gateway = self.random.choice(self.gateways)
        if gateway.wants():
            self.load(gateway)
        if not gateway.reading and (gateway.steered.wake.is_set() or self.random.random() < 0.2):
            self.start(gateway.name, gateway.read_documents(), gateway.connection)

    def _end_overdue(self) -> None:
        self._end_by(self.random.choice(self.gateways))

    def _end_by(self, gateway: Gateway) -> None:
        """Have a gateway write what time has ended: nobody else does, and it alone knows when."""
        if not gateway.ending:
            work = gateway.end_overdue(PLATFORM)
            self.processes.start(
                Process(gateway.name, work, gateway.connection, (Expire(),), PLATFORM)
            )

    def _ask(self) -> None:
        self.clients.ask(self.random.choice(self.gateways), KEYS)
        self.counts["answers"] += len(KEYS)

    def _ask_beside(self) -> None:
        """Ask them all when one has learnt something: now they may differ."""
        if self.random.random() < 0.5:
            for gateway in self.gateways:
                self.clients.ask(gateway, (self.random.choice(KEYS),))
                self.counts["answers"] += 1

    # How time passes

    def _go_on(self) -> None:
        if not self.redis.up and self.random.random() < 0.3:
            self.note("redis is back")
            self.redis.up = True
        for _ in range(self.random.randint(1, 8)):
            process = self.processes.any()
            if process is None:
                return
            if self.processes.resume(process) and process.connection is not self._connection:
                self._ask_beside()

    def _wait(self) -> None:
        """Let time pass, often until about the moment in which something begins or ends."""
        rollout = None if self.chain.state is None else self.chain.state.rollout
        if rollout is not None and self.random.random() < 0.5:
            moments = (rollout.step_begun, rollout.step_begun, rollout.step_deadline)
            moment = self.random.choice(moments) + self.random.uniform(-0.6, 0.6)
            self.now = max(self.now + 0.01, moment)
        else:
            self.now += self.random.choice((0.05, 0.3, 0.3, 1.0, 1.0, 2.0, 5.0, 12.0))

    # How it ends

    def _settle(self) -> None:
        """All is well again: what is stored can be changed, and every gateway goes by it."""
        self.redis.up = True
        self.now += 2 * SKEW_SECONDS
        for gateway in self.gateways:
            gateway.connection.cut, gateway.reads_later = False, True
        self.processes.finish()
        if not self.redis.contents.is_trusted:
            for gateway in self.gateways:
                self.restore(gateway)
                self.processes.finish()
        if not self.redis.contents.is_trusted:
            self.counts["nobody has what the known state needs"] += 1
            return
        self._put_right()
        self._all_follow()
        back = self._at_last.warm[0]
        if back not in self.chain.spoilt:
            self._must(RollBack("as a drill", back, self._at_last.active))
            self._all_follow()

    def _put_right(self) -> None:
        """End all that may be in the way, and bring a new version into force at once."""
        self._begin("all is taken in", self.people.found(), by=ADMIN)
        self.processes.finish()
        if self.random.random() < 0.5:
            self._let_all_end()
        self._must(*clearing(self._at_last))
        document = self._document()
        self._begin_draft(self.people.must_draft(document, ADMIN), ADMIN)
        self.processes.finish()
        before = self._at_last.active
        life = max(self._at_last.versions.values(), key=lambda each: each.number)
        self._must(Validated(life.number, life.content_hash))
        self._must(Deploy(life.number, Strategy.BLUE_GREEN, "the last one", before))

    def _let_all_end(self) -> None:
        """Hold that by the gateways alone all leaves the state whose time is over."""
        state = self._at_last
        ends = [each.expires for each in state.overrides] + [each.ends for each in state.freezes]
        ends += [] if state.lock is None else [state.lock.expires]
        ends += [] if state.rollout is None else [state.rollout.ends]
        self.now = max([self.now, *ends]) + 2 * SKEW_SECONDS
        for act in (self.load, self._end_by):
            for gateway in self.gateways:
                act(gateway)
            self.processes.finish()
        for name in ("overrides", "freezes", "lock", "rollout"):
            check(not getattr(self._at_last, name), f"{name} outlive their time")

    def _must(self, *commands: Command) -> None:
        self._begin("at last", self.people.must(commands, ADMIN), commands, ADMIN)
        self.processes.finish()

    @property
    def _at_last(self) -> SteeringState:
        assert self.chain.state is not None
        return self.chain.state

    def _all_follow(self) -> None:
        """Hold that every gateway comes to know what is stored, and answers by it."""
        self.processes.finish()
        for gateway in self.gateways:
            self.load(gateway)
        self.processes.finish()
        for gateway in self.gateways:
            self.start(gateway.name, gateway.read_documents(), gateway.connection)
        self.processes.finish()
        for gateway in self.gateways:
            found = {b"%d" % each for each in gateway.versions(KEYS).values()}
            check(found == {self.redis.contents.pointer}, f"{gateway.name} goes by another version")
            ended = gateway.view is not None and gateway.view.emergency is None
            check(ended, f"{gateway.name} does not leave emergency mode")

    # What they are made of

    def restore(self, gateway: Gateway) -> None:
        """Have a gateway write what it knows, after the document of its active version."""
        if (known := gateway.view) is None:
            return
        life, active = known.versions[known.active], gateway.choice.active()
        if active is not None and active.config_hash == life.content_hash and self.redis.up:
            self.redis.put_back(life.number, life.content_hash)
        self.note(f"the state of {gateway.name} is restored")
        work = self.people.restore(known)
        self.processes.start(Process("restore", work, self._connection, (), ADMIN, "restore"))

    def start(self, name: str, work: Any, connection: Connection) -> None:
        self.processes.start(Process(name, work, connection, (), PLATFORM))

    def load(self, gateway: Gateway) -> None:
        self.start(gateway.name, gateway.load(), gateway.connection)

    def note(self, words: str, commands: tuple[Command, ...] = ()) -> None:
        self._notes.append((self.now, words, commands))

    def _begin(
        self, name: str, work: Any, commands: tuple[Command, ...] = (), by: Actor = PLATFORM
    ) -> None:
        self.note(f"begins: {name}", commands)
        self.processes.start(Process(name, work, self._connection, commands, by))

    def _begin_draft(self, work: Any, by: Actor) -> None:
        self.note(f"begins: {by.name} drafts")
        self.processes.start(Process(f"{by.name} drafts", work, self._connection, (), by, "draft"))

    def _connect(self) -> Connection:
        return Connection(self.redis, self._executed)

    def _gateway(self, name: str) -> Gateway:
        skew = self.random.uniform(-SKEW_SECONDS, SKEW_SECONDS)
        return Gateway(name, self._connect(), lambda: self.now, skew)

    def _executed(self, connection: Connection, name: str, found: Any) -> None:
        # What a gateway reads to end something is no look of its watch.
        if name == "read" and not self.processes.running.commands:
            for gateway in self.gateways:
                if gateway.connection is connection:
                    gateway.read_epoch = self.chain.epoch
                    gateway.read_releases = self.chain.releases
        elif name == "change" and found == 1:
            process = self.processes.running
            self.note(f"stored by {process.name}:", process.commands)
            if process.kind == "restore":
                self.chain.restored()
            else:
                self.chain.add(process.commands, process.by, drafts=process.kind == "draft")

    def _on_the_screen(self) -> SteeringState | None:
        """Give what an operator may have on the screen: mostly the last state."""
        states = self.chain.states
        if self.random.random() < 0.85 or not states:
            return self.chain.state
        return self.random.choice(states[-4:])

    def _publish(self) -> int:
        document = self._document()
        record = {
            "config_hash": document.config_hash,
            "author": "an old tool",
            "reason": "by hand",
            "created": "2026-02-25T00:00:00+00:00",
            "document": document.text,
        }
        return self.redis.publish(orjson.dumps(record))

    def _tell(self) -> None:
        """Bring a notice to all that are there; some are lost on the way."""
        for gateway in self.gateways:
            if gateway.connection.cut:
                continue
            if self.random.random() < LOST_NOTICES:
                self.counts["notices that were lost"] += 1
            else:
                gateway.told = True

    def _document(self) -> Document:
        words = LATER if self.random.random() < 0.1 else "of this release"
        return Document(orjson.dumps({"try": self._name(), "words": words}).decode())

    def _name(self) -> str:
        self._names += 1
        return f"n{self._names}"


def _named(command: Command) -> str:
    """Say what is asked in a line."""
    said = repr(command)
    return said if len(said) < 120 else f"{said[:117]}..."


def run_schedule(seed: int, number: int) -> World:
    """Run one schedule; a ViolationError carries its trace."""
    world = World(Random(f"{seed}:{number}"))  # noqa: S311 - schedules, not secrets
    try:
        world.run()
    except (AssertionError, ConfigError, LookupError, ValueError, TypeError) as violation:
        trace = "\n".join(world.trace[-40:])
        raise ViolationError(
            f"{violation!r}\nschedule {number} of seed {seed}:\n{trace}"
        ) from violation
    finally:
        world.processes.end_all()
    return world
