"""What a change writes: the state, the lives that it lets go, the journal's entry, the events."""

from hashlib import sha256

import orjson

from config_store.steering import drafts
from config_store.steering.changes import Changed
from config_store.steering.commands import (
    Actor,
    Command,
    Draft,
    EmergencyOff,
    Expire,
    Judge,
    RemoveOverride,
    Withdraw,
)
from config_store.steering.journal import JournalEntry
from config_store.steering.seen import Seen
from config_store.steering.state import SteeringState, Verdict
from config_store.steering.times import URGENT, latest_write

# They end something, and are carried out where Redis is full, each takes a few bytes, and where
# something of another type is in the place of the journal or the timeline.
ENDING = (*URGENT, EmergencyOff, Expire, RemoveOverride)


def arguments(
    seen: Seen,
    changed: Changed,
    by: Actor,
    commands: tuple[Command, ...],
    record: bytes,
    channel: str,
) -> list[bytes | str]:
    """Give what the script is told that writes a change in the place of what was seen."""
    state, before = changed.state, seen.stored
    text = state.model_dump_json().encode()
    filed = _filed(seen.state, state)
    makes_room = any(isinstance(each, Draft | Withdraw) for each in commands)
    spent = drafts.spent(seen.state, state, makes_room=makes_room)
    entry = _entry(before, state, by)
    # What counts as active already stays so, also where its document is gone: to refuse every
    # change for that would leave no way out.
    known = seen.state if before is not None else None
    given = {
        "switches": known is None or known.active != state.active,
        "seen_digest": seen.digest,
        "seen_pointer": seen.pointer,
        "seen_published": seen.published,
        "latest": latest_write(commands, seen.clock),
        "ends": bool(commands) and all(map(_ends_something, commands)),
        "revision": str(state.revision),
        "digest": sha256(text).hexdigest(),
        "newest": str(max(state.versions)),
        "active": str(state.active),
        "changed": repr(state.changed),
        "channel": channel,
        "draft": str(max(state.versions)),
        "spent": {str(each.number): each.content_hash for each in spent},
        "filed": len(filed) // 2,
        "events": len(changed.events),
    }
    events = [each.to_json() for each in changed.events]
    return [orjson.dumps(given), text, record, entry, *filed, *events]


def _ends_something(command: Command) -> bool:
    """Tell whether a command waits for nothing: a bad verdict ends its rollout like an abort."""
    if isinstance(command, Judge):
        return command.verdict is Verdict.BAD
    return isinstance(command, ENDING)


def _filed(before: SteeringState | None, after: SteeringState) -> list[bytes | str]:
    """Give the lives that the state lets go, as number and text in turn."""
    lives = before.versions if before is not None else {}
    gone = [life for number, life in lives.items() if number not in after.versions]
    return [part for life in gone for part in (str(life.number), life.model_dump_json())]


def _entry(before: SteeringState | None, after: SteeringState, by: Actor) -> str:
    entry = JournalEntry.of(after, by)
    if before is not None and entry.same_as(JournalEntry.of(before, by)):
        return ""
    return entry.member()
