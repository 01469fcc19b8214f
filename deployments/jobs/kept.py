"""Where records of jobs are kept: beside what the jobs make, so that both are lost together."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from pydantic import ValidationError
from redis.asyncio import Redis

from deployments.jobs.job import Job

RECORD = "job.json"
# Of a folder's name: a key comes from a client.
_KEY = re.compile("[0-9A-Za-z_-]{1,64}")


class Written(Job, Protocol):
    """A record that is one of pydantic's models."""

    def model_dump_json(self) -> str: ...

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self: ...


Record = TypeVar("Record", bound=Written)


class JobsInRedis(Generic[Record]):
    """Records that hold all that their jobs found; the latest of them stay."""

    def __init__(self, redis: Redis, name: str, model: type[Record], most: int) -> None:
        """Take the hash's name, and of how many jobs the records stay."""
        self._redis = redis
        self._name = name
        self._model = model
        self._most = most

    async def save(self, key: str, job: Record) -> None:
        await self._redis.hset(self._name, key, job.model_dump_json())
        kept: dict[Any, Any] = await self._redis.hgetall(self._name)
        # By when they were asked for: keys say nothing of that.
        for old in sorted(kept, key=lambda each: self._asked_at(kept[each]))[: -self._most]:
            await self._redis.hdel(self._name, old)

    async def get(self, key: str) -> Record | None:
        written: Any = await self._redis.hget(self._name, key)
        return None if written is None else _read(self._model, written)

    async def forget(self, key: str) -> None:
        await self._redis.hdel(self._name, key)

    def _asked_at(self, written: bytes) -> float:
        found = _read(self._model, written)
        return 0.0 if found is None else found.asked_at


class JobsInFolders(Generic[Record]):
    """A folder for each job, with its record beside the files that it makes."""

    def __init__(self, folder: Path, model: type[Record]) -> None:
        self._folder = folder
        self._model = model

    def of(self, key: str) -> Path:
        """Give a job's own folder."""
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"{key!r} is no key of a job")
        return self._folder / key

    async def save(self, key: str, job: Record) -> None:
        await asyncio.to_thread(_write, self.of(key), job.model_dump_json())

    async def get(self, key: str) -> Record | None:
        return await asyncio.to_thread(self._get, self.of(key))

    async def all(self) -> list[Record]:
        return await asyncio.to_thread(lambda: [*self._all()])

    async def forget(self, key: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self.of(key), ignore_errors=True)

    def _get(self, folder: Path) -> Record | None:
        try:
            return _read(self._model, (folder / RECORD).read_bytes())
        except FileNotFoundError:
            return None

    def _all(self) -> Iterator[Record]:
        for file in self._folder.glob(f"*/{RECORD}"):
            found = self._get(file.parent)
            if found is not None:
                yield found


def _read(model: type[Record], written: bytes) -> Record | None:
    try:
        return model.model_validate_json(written)
    except ValidationError:  # another release wrote it
        return None


def _write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = folder / f"{RECORD}.part"
    unfinished.write_text(text)
    unfinished.rename(folder / RECORD)
