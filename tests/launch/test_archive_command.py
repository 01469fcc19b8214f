"""`ballast archive`: what it says of the archive, and which it gives up."""

import asyncio
import shutil

from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from launch.cli import app
from observability.clickhouse.home import claim, known_home
from observability.ledger.lag import drained_key, noted_id
from settings.environment import Settings


async def invoke(word: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["archive", word]))


async def test_an_archive_that_is_here_is_not_given_up(settings: Settings, redis: Redis) -> None:
    home = await claim(redis, settings.paths.history, "here")
    done = await invoke("abandon")
    assert done.exit_code == 1
    assert f"{home.archive_id} is not lost: it is in {settings.paths.history}" in done.output
    assert await known_home(redis) == home


async def test_an_archive_whose_folder_is_gone_is_given_up(
    settings: Settings, redis: Redis
) -> None:
    home = await claim(redis, settings.paths.history, "here")
    await redis.set(drained_key("ballast:ledger"), "1-0")
    await redis.hset("ballast:ledger:audit", "ledger", "what was found of it")
    shutil.rmtree(settings.paths.history)
    done = await invoke("abandon")
    assert done.exit_code == 0, done.output
    assert f"{home.archive_id} on node here" in done.output
    assert await known_home(redis) is None
    assert await noted_id(redis, "ballast:ledger") is None  # the next archive has nothing yet
    assert await redis.exists("ballast:ledger:audit") == 0
    assert "There is no archive" in (await invoke("abandon")).output
