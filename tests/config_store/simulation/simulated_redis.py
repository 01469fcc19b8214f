"""A Redis in memory that runs steering's two scripts, and may be killed or cut off at any moment.

It is written from what the scripts promise, not line by line: a test compares it with a real one.
"""

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.steering.scripts import CHANGE, DROP_OTHER_TYPES, READ


class Pause:
    """Where a process may be held up, or crash."""

    def __await__(self) -> Generator[None]:
        yield


@dataclass
class Contents:
    """What is stored."""

    steering: dict[str, bytes] = field(default_factory=dict)
    pointer: bytes | None = None
    versions: dict[int, bytes] = field(default_factory=dict)
    filed: dict[bytes, bytes] = field(default_factory=dict)
    in_force: list[tuple[float, bytes]] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    # Documents that somebody removed or changed by hand.
    spoilt: set[int] = field(default_factory=set, compare=False)
    copied: dict[str, bytes] = field(default_factory=dict)

    @property
    def is_trusted(self) -> bool:
        """Tell whether the state is one that steering wrote."""
        state = self.steering.get("state")
        return state is None or sha256(state).hexdigest().encode() == self.steering["digest"]

    @property
    def highest(self) -> int:
        """Give the highest number that was given out, as far as can be known."""
        number = max(len(self.versions), int(self.steering.get("newest", b"0")))
        while number + 1 in self.versions:
            number += 1
        return number

    def told(self, since: int) -> list[dict[str, Any]]:
        """Read the events after so many."""
        return [orjson.loads(each) for each in self.events[since:]]


class SimulatedRedis:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.contents = Contents()
        self.up = True
        self.kills = 0
        self.pointer_before: bytes | None = None  # what the last change found
        self.events_before = 0
        self.log: list[tuple[str, Any, Any]] = []  # what was asked, and what was answered
        self._records: dict[str, bytes] = {}  # all that were ever whole, by their hash
        self.notice: Callable[[], None] = lambda: None

    def kill(self) -> None:
        """End it, and every connection with it."""
        self.up = False
        self.kills += 1

    def snapshot(self) -> Contents:
        """Copy what is stored; the values themselves never change."""
        now = self.contents
        return Contents(
            now.steering,
            now.pointer,
            dict(now.versions),
            dict(now.filed),
            list(now.in_force),
            list(now.events),
            set(now.spoilt),
            now.copied,
        )

    def publish(self, record: bytes) -> int:
        """Store a document as releases did that knew no steering."""
        number = len(self.contents.versions) + 1
        while number in self.contents.versions:
            number += 1
        self._note_record(record)
        self._store_document(number, record)
        return number

    def spoil_document(self, number: int) -> None:
        """Change a document by hand, so that it is not what its hash says."""
        fields = orjson.loads(self.contents.versions[number])
        self._store_document(number, orjson.dumps(fields | {"document": "by hand"}))
        self.contents.spoilt.add(number)

    def remove_document(self, number: int) -> None:
        """Remove a document by hand."""
        del self.contents.versions[number]
        self.contents.spoilt.add(number)
        self.log.append(("remove", number, None))

    def put_back(self, number: int, content_hash: str) -> None:
        """Write a document again, as a repair does from what a gateway has."""
        self._store_document(number, self._records[content_hash])
        self.contents.spoilt.discard(number)

    def spoil_state(self) -> None:
        """Change the state by hand."""
        self.contents.steering = self.contents.steering | {"state": b"{}"}
        self.log.append(("spoil", b"{}", None))

    def activate(self, number: int) -> None:
        self.contents.pointer = b"%d" % number
        self.log.append(("activate", number, None))

    def _note_record(self, record: bytes) -> None:
        self._records[orjson.loads(record)["config_hash"]] = record

    def _store_document(self, number: int, record: bytes) -> None:
        self.contents.versions[number] = record
        self.log.append(("publish", record, number))

    def run(self, name: str, args: list[Any]) -> Any:
        match name:
            case "read":
                found: Any = self.read(int(args[0]))
            case "document":
                found = self.contents.versions.get(args[0])
            case "drop":  # here nobody puts another kind of value in a place
                return None
            case _:
                late = self.clock() > orjson.loads(args[0])["latest"]
                found, name = self.change(args), "late" if late else name
        self.log.append((name, args, found))
        return found

    def read(self, most: int) -> list[Any]:
        """Do as the script READ does."""
        now = self.contents
        count = now.highest
        newest = int(now.steering.get("newest", b"0"))
        numbers = list(range(max(newest + 1, count - most + 1), count + 1))
        if now.pointer is not None and now.pointer != now.steering.get("active"):
            numbers.append(int(now.pointer))
        headers = [_header(each, now.versions[each]) for each in numbers if each in now.versions]
        stored = [now.steering.get(name) for name in ("revision", "state", "digest")]
        copied = None if now.steering else now.copied.get("revision")
        return [*stored, now.pointer, count, headers, b"%.6f" % self.clock(), copied]

    def change(self, args: list[bytes]) -> int:
        """Do as the script CHANGE does."""
        now, given, rest = self.contents, orjson.loads(args[0]), list(args[1:])
        state, record, entry = rest.pop(0), rest.pop(0), rest.pop(0)
        if not self.is_as_seen(given) or self.clock() > given["latest"]:
            return 0
        self.pointer_before, self.events_before = now.pointer, len(now.events)
        active = given["active"].encode()
        leads_elsewhere = given["switches"] and active != (now.pointer or b"")
        if leads_elsewhere and not _has_document(now.versions.get(int(active))):
            return -1
        if record:
            self._note_record(record)
            now.versions[int(given["draft"])] = record
        now.pointer = active
        fields = {name: given[name].encode() for name in ("revision", "digest", "newest")}
        now.steering = fields | {"state": state, "active": active}
        names = ("revision", "state", "digest")
        now.copied = {name: now.steering[name] for name in names}
        for _ in range(given["filed"]):
            number = rest.pop(0)
            now.filed[number] = rest.pop(0)
        for text, content_hash in given["spent"].items():
            self._spend(int(text), content_hash)
        if entry:
            now.in_force.append((float(given["changed"]), entry))
        now.events += rest[: given["events"]]
        return 1

    def _spend(self, number: int, content_hash: str) -> None:
        """Leave of a record all but its document."""
        head, document, _ = self.contents.versions.get(number, b"").partition(b',"document":')
        left = head + b',"withdrawn":true}'
        if document and orjson.loads(left)["config_hash"] == content_hash:
            self.contents.versions[number] = left

    def is_as_seen(self, given: dict[str, Any]) -> bool:
        now = self.contents
        digest, pointer = now.steering.get("digest", b""), now.pointer or b""
        found = (digest.decode(), pointer.decode(), now.highest)
        return found == (given["seen_digest"], given["seen_pointer"], given["seen_published"])


class Connection:
    """One process's way to Redis: what `SteeringStore` asks of a client."""

    def __init__(
        self,
        redis: SimulatedRedis,
        executed: Callable[["Connection", str, Any], None],
    ) -> None:
        self.redis = redis
        self.cut = False
        self._executed = executed

    def register_script(self, text: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        name = {READ: "read", CHANGE: "change", DROP_OTHER_TYPES: "drop"}.get(text, "")

        async def call(keys: list[str], args: list[Any]) -> Any:
            del keys
            encoded = [each.encode() if isinstance(each, str) else each for each in args]
            return await self._call(name, encoded)

        return call

    async def document(self, number: int) -> bytes | None:
        """Give the record of a version, as the configuration store reads it."""
        found: bytes | None = await self._call("document", [number])
        return found

    async def _call(self, name: str, args: list[Any]) -> Any:
        opened = self.redis.kills
        await Pause()
        self._refuse_away(opened)
        assert name, "steering ran a script that is not simulated"
        found = self.redis.run(name, args)
        self._executed(self, name, found)
        if name == "change" and found == 1:
            self.redis.notice()
        await Pause()
        self._refuse_away(opened)  # it was done, and the answer is lost
        return found

    def _refuse_away(self, opened: int) -> None:
        if self.cut or not self.redis.up or self.redis.kills != opened:
            raise RedisConnectionError("away")


def _header(number: int, record: bytes) -> bytes:
    fields = orjson.loads(record)
    named = {name: fields[name] for name in ("config_hash", "author", "reason", "created")}
    named |= {name: fields[name] for name in ("co_authors",) if fields.get(name)}
    named["withdrawn"] = fields.get("withdrawn") is True
    return orjson.dumps({"number": number, **named})


def _has_document(record: bytes | None) -> bool:
    return record is not None and b',"withdrawn":true' not in record
