"""What is left of a `make dev` that could not start: nothing that would keep its process."""

import asyncio
from pathlib import Path

import pytest

from launch.dev import platform
from launch.dev.platform import ALWAYS_FIRST, DevPlatform
from settings.environment import Settings


class Opened:
    """Stands for a stage that is open."""

    is_closed = False

    async def close(self) -> None:
        self.is_closed = True


async def test_a_stage_that_opened_beside_one_that_failed_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Opened] = []

    async def open_stage(name: str, *, warmed: bool) -> Opened:
        assert not warmed
        if name == ALWAYS_FIRST[0]:
            raise ConnectionError("Redis is away")
        for _ in range(20):  # the other one has failed by then
            await asyncio.sleep(0)
        opened.append(Opened())
        return opened[-1]

    monkeypatch.setattr(platform, "open_stage", open_stage)
    dev = DevPlatform(Settings(home=tmp_path))
    with pytest.raises(ConnectionError, match="Redis is away"):
        await dev.open()
    await dev.close()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    assert [each.is_closed for each in opened] == [True]
