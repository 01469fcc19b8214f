"""Which folder is the archive: a mark in the folder, and the same mark in Redis.

The embedded engine's folder lies on one node. An engine that is started on another node would begin
with an empty folder, and every decision that was drained before would be unknown. So the folder and
Redis carry the archive's id, and where they differ nothing is opened.
"""

import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from observability.errors import ArchiveElsewhereError
from settings.redis_names import redis_name

MARK = "archive.id"


@dataclass(frozen=True, slots=True)
class Home:
    """The archive that Redis knows of, and where it was opened last."""

    archive_id: str
    node: str
    folder: str


def key(redis: Redis) -> str:
    return redis_name(redis, "archive")


async def known_home(redis: Redis) -> Home | None:
    """Tell which archive there is; none where none was ever opened."""
    found: Any = await redis.get(key(redis))
    if found is None:
        return None
    noted = orjson.loads(found)  # by whichever release: it may tell more
    return Home(noted["archive_id"], noted["node"], noted["folder"])


async def claim(redis: Redis, folder: Path, node: str) -> Home:
    """Make sure that the folder is the archive; the first folder ever becomes it.

    Raises ArchiveElsewhereError where Redis knows of another one.
    """
    mark = read_mark(folder)
    known = await known_home(redis)
    if known is None:
        mark = mark or _write_mark(folder)
        mine = Home(mark, node, str(folder))
        await redis.set(key(redis), orjson.dumps(asdict(mine)), nx=True)
        known = await known_home(redis) or mine  # another node may have been first
    if known.archive_id != mark:
        raise ArchiveElsewhereError(elsewhere(known, folder, node))
    home = Home(known.archive_id, node, str(folder))
    if home != known:  # the folder was moved, or its node has a new name
        await redis.set(key(redis), orjson.dumps(asdict(home)))
    return home


async def abandon(redis: Redis) -> Home | None:
    """Forget the archive: the next folder that is opened becomes it. Tells what is given up."""
    known = await known_home(redis)
    await redis.delete(key(redis))
    return known


def elsewhere(known: Home, folder: Path | None = None, node: str | None = None) -> str:
    """Say where the archive is, to whoever looked for it in another folder."""
    here = "" if folder is None else f" The folder {folder} on node {node} is not this archive."
    return (
        f"The archive of decisions is on node {known.node} in {known.folder}, which "
        f"cannot be reached.{here} Decisions wait in Redis until it can. To move the "
        "archive or to give it up see docs/operations.md, The archive's node"
    )


def read_mark(folder: Path) -> str | None:
    try:
        return (folder / MARK).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write_mark(folder: Path) -> str:
    """Mark the folder, so that the mark is on the disk before Redis speaks of it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = secrets.token_hex(16)
    new = folder / f"{MARK}.new"
    with new.open("w") as file:
        file.write(mark + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / MARK)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return mark
