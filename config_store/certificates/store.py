"""Keeps certificates in Redis, each under the hash of its content: none is ever overwritten.

Beside them is, for each rollout, the list of its certificates in the order in which they were
written: the rollout's state forgets it when the next one ends. Those of the newest rollouts are
kept, and as many as have room; who wants one for longer keeps its file.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import orjson
from redis.asyncio import Redis

from config_store.certificates.certificate import Certificate
from config_store.errors import UnknownCertificateError
from config_store.steering.state import Rollout
from settings.redis_names import redis_name

# Over its memory limit Redis refuses a script at the first write that takes memory, unless one ran
# before that takes none.
_KEEP = """
if ARGV[1] == '1' then redis.call('HDEL', KEYS[1], '') end
redis.call('HSETNX', KEYS[1], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('ZADD', KEYS[3], ARGV[6], ARGV[4])
return 1
"""

MOST_ROLLOUTS = 100
# A step that was looked at each minute for three days leaves some megabytes.
MOST_BYTES = 64_000_000


class CertificateStore:
    """Raises what an absent Redis raises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "certificates")
        self._listed_key = redis_name(redis, "certificates", "rollouts")
        # The rollouts by the time of their last certificate; an earlier release kept none.
        self._order_key = redis_name(redis, "certificates", "order")
        self._keep = redis.register_script(_KEEP)

    async def keep(
        self, certificate: Certificate, earlier: Sequence[str] = (), *, despite_full: bool = False
    ) -> None:
        """Keep a certificate, written after these of its rollout; one that is there stays.

        A full Redis refuses it, but for one that is kept despite that: of a verdict that ends its
        rollout, of which there is one.
        """
        listed = [*(each for each in earlier if each != certificate.hash), certificate.hash]
        await self._keep(
            keys=[self._key, self._listed_key, self._order_key],
            args=[
                int(despite_full),
                certificate.hash,
                certificate.model_dump_json(),
                certificate.plan.rollout,
                orjson.dumps(listed),
                certificate.looks[-1].at,
            ],
        )

    async def let_go(self, needed: Iterable[Rollout]) -> None:
        """Remove those of the oldest rollouts where there are too many; never those of these.

        One that no rollout lists goes too: its judge died before anybody went by it.
        """
        protected = {each.id: each.certificates for each in needed}
        # First: what is written meanwhile is not among these.
        sizes = await self._sizes()
        listed = await self._newest_first()
        kept = _kept(listed, sizes, protected.keys())
        staying = {name for rollout in kept for name in listed[rollout]}
        staying.update(*protected.values())
        hashes, rollouts = sizes.keys() - staying, listed.keys() - kept
        # A full Redis takes no transaction, also not one that makes room. Cut off between two of
        # these, what is left stands in no order or in no list, and goes the next time.
        pipe = self._redis.pipeline(transaction=False)
        if rollouts:
            pipe.zrem(self._order_key, *rollouts)
            pipe.hdel(self._listed_key, *rollouts)
        if hashes:
            pipe.hdel(self._key, *hashes)
        await pipe.execute()

    async def listed(self, rollout: str) -> list[str]:
        """Name the certificates of a rollout; none of one that is not known."""
        found: Any = await self._redis.hget(self._listed_key, rollout)
        hashes: list[str] = [] if found is None else orjson.loads(found)
        return hashes

    async def page(self, hashes: Sequence[str], most_bytes: int) -> list[bytes]:
        """Load the first of these certificates, as many as fit; one at least."""
        pipe = self._redis.pipeline(transaction=False)
        for each in hashes:
            pipe.hstrlen(self._key, each)
        sizes = accumulate(await pipe.execute())
        fitting = sum(size <= most_bytes for size in sizes)
        return await self.load(hashes[: max(fitting, 1)])

    async def load(self, hashes: Sequence[str]) -> list[bytes]:
        """Load the certificates with these hashes, in this order, as they were written."""
        if not hashes:
            return []
        found: Any = await self._redis.hmget(self._key, list(hashes))
        for name, written in zip(hashes, found, strict=True):
            if written is None:
                raise UnknownCertificateError(name)
        return list(found)

    async def _sizes(self) -> dict[str, int]:
        """Give the size of each certificate, by its hash."""
        names: Any = await self._redis.hkeys(self._key)
        pipe = self._redis.pipeline(transaction=False)
        for each in names:
            pipe.hstrlen(self._key, each)
        sizes = await pipe.execute()
        return {name.decode(): size for name, size in zip(names, sizes, strict=True)}

    async def _newest_first(self) -> dict[str, list[str]]:
        """Give what each rollout lists; those of an earlier release come last."""
        order: Any = await self._redis.zrevrange(self._order_key, 0, -1)
        found: Any = await self._redis.hgetall(self._listed_key)
        listed = {name.decode(): orjson.loads(hashes) for name, hashes in found.items()}
        ordered = [name.decode() for name in order if name.decode() in listed]
        # Most ids begin with the time of the rollout.
        older = sorted(listed.keys() - set(ordered), reverse=True)
        return {name: listed[name] for name in (*ordered, *older)}


def _kept(
    listed: Mapping[str, Sequence[str]], sizes: Mapping[str, int], protected: Collection[str]
) -> set[str]:
    """Name the rollouts whose certificates stay: the newest that have room, and the protected."""
    kept, room = set[str](), MOST_BYTES
    for rollout, hashes in listed.items():
        room -= sum(sizes.get(each, 0) for each in hashes)
        if rollout in protected or (len(kept) < MOST_ROLLOUTS and room >= 0):
            kept.add(rollout)
    return kept
