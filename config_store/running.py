"""What each replica goes by, as it reports itself every second: drift is what differs from it.

Beside that, how long ago it last looked: one that lags goes by the same version only by chance. And
while a rollout goes on, whether it has the candidate loaded, or why it lacks it.

Ages are counted by Redis's clock alone, so machines whose clocks differ are no older for it.
"""

from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from config_store.steering.watch import LAGS_SECONDS
from settings.redis_names import redis_name

# A replica reports every second.
SILENT_SECONDS = 10.0
# One that died is no drift; by then everybody has seen that it is gone.
FORGOTTEN_SECONDS = 60.0
# Of a reason; all of them are read at once.
MOST_CHARACTERS = 300

_REPORT = """
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], now[1] .. ' ' .. ARGV[2])
if KEYS[2] then
    redis.call('HSET', KEYS[2], ARGV[3], string.format('%d.%06d', now[1], now[2]))
end
return 1
"""
_READ = """
local now = redis.call('TIME')
local found = redis.call('HGETALL', KEYS[1])
local kept = {}
for at = 1, #found, 2 do
    local age = now[1] - tonumber(string.match(found[at + 1], '^%d+') or '0')
    if age > tonumber(ARGV[1]) then
        redis.call('HDEL', KEYS[1], found[at])
    else
        kept[#kept + 1] = found[at]
        kept[#kept + 1] = tostring(age)
        kept[#kept + 1] = string.match(found[at + 1], '^%d+ (.*)$') or ''
    end
end
return kept
"""


class CandidateReport(NamedTuple):
    """What a replica said of a rollout's candidate: it has it where there is no reason why not."""

    content_hash: str
    why_not: str = ""
    age_s: float = 0.0  # when it reported


class Running(NamedTuple):
    """One replica's report."""

    replica: str
    role: str
    version: int
    config_hash: str
    age_s: float
    look_age_s: float = 0.0  # when it reported
    loaded: CandidateReport | None = None

    @property
    def silent(self) -> bool:
        return self.age_s > SILENT_SECONDS

    @property
    def lags(self) -> bool:
        """Tell whether it has not looked at the steering state for long, though it reports."""
        return self.look_age_s > LAGS_SECONDS

    def why_not_loaded(self, content_hash: str) -> str | None:
        """Tell why it lacks the document with this hash; empty where it has it, None if unknown.

        Who has not said so for long has lost what it had, or never had it.
        """
        said = self.loaded
        if said is None or said.content_hash != content_hash:
            return None
        return said.why_not if said.age_s + self.age_s <= SILENT_SECONDS else None


class RunningVersions:
    """The reports in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "config", "running")
        self._report = redis.register_script(_REPORT)
        self._read = redis.register_script(_READ)

    async def report(
        self,
        replica: str,
        role: str,
        version: int,
        config_hash: str,
        look_age_s: float = 0.0,
        loaded: CandidateReport | None = None,
        signed: tuple[str, str] | None = None,
    ) -> None:
        """Report; in the same step the time is written to a field of a hash, where one is given."""
        fields: dict[str, Any] = {
            "role": role,
            "version": version,
            "config_hash": config_hash,
            "look_age_s": look_age_s,
        }
        if loaded is not None:
            why_not = loaded.why_not[:MOST_CHARACTERS]
            fields["loaded"] = loaded._replace(why_not=why_not)._asdict()
        also_key, also_field = ([signed[0]], [signed[1]]) if signed is not None else ([], [])
        await self._report(
            keys=[self._key, *also_key], args=[replica, orjson.dumps(fields), *also_field]
        )

    async def leave(self, replica: str) -> None:
        """Take a replica out that ends: it is no straggler."""
        await self._redis.hdel(self._key, replica)

    async def all(self) -> list[Running]:
        """Give every replica's report, by name; those that died long ago are let go."""
        found: Any = await self._read(keys=[self._key], args=[FORGOTTEN_SECONDS])
        reports = [
            _reported(name.decode(), float(age), said)
            for name, age, said in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]
        return sorted((each for each in reports if each is not None), key=lambda each: each.replica)


def _reported(replica: str, age_s: float, said: bytes) -> Running | None:
    """Read a report; one of another release says nothing that could be compared."""
    try:
        fields = orjson.loads(said)
        loaded = fields.get("loaded")
        return Running(
            replica,
            str(fields["role"]),
            int(fields["version"]),
            str(fields["config_hash"]),
            age_s,
            float(fields.get("look_age_s", 0.0)),
            None if loaded is None else CandidateReport(**loaded),
        )
    except (ValueError, KeyError, TypeError):
        return None
