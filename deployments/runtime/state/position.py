"""Where a key's log stands: the number of its latest entry, and the mark by which that is known.

A Redis that lost its latest entries (a power cut of its machine, a failover) counts their numbers
once more for what comes next. So a number alone does not say that a holder knows what stands there:
the entry of that number may be another one. Its mark is a hash of all that the entry says; with a
snapshot goes the mark of the entry up to which it stands.
"""

from hashlib import sha1
from typing import NamedTuple

_DIGITS = 16
ANY_MARK = "*"
"""Stands for the mark of whatever entry has the number."""


class Position(NamedTuple):
    number: int
    mark: str


def mark_of(events: bytes, ids: bytes) -> str:
    """Give the mark of an entry, by the two fields that it has in Redis."""
    # By what scripts in Redis have; nobody who could forge a mark is kept out by it.
    return sha1(events + ids, usedforsecurity=False).hexdigest()[:_DIGITS]


# The same for the scripts. `position` gives the number and the mark of a log's latest entry, which
# may be in the log or only in the snapshot; one that an earlier release saved may have no mark.
POSITION = f"""
local function mark_of(fields)
  local found = {{}}
  for at = 1, #fields, 2 do found[fields[at]] = fields[at + 1] end
  return string.sub(redis.sha1hex((found['e'] or '') .. (found['i'] or '')), 1, {_DIGITS})
end
local function position(log, snapshot)
  local saved = redis.call('HMGET', snapshot, 'n', 'm')
  local number = tonumber(saved[1] or '0')
  local latest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  local at = latest and tonumber(string.match(latest[1], '^%d+')) or 0
  if at > number then return at, mark_of(latest[2]) end
  return number, saved[2] or ''
end
"""
