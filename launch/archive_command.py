"""Shows and gives up the archive of decisions, for the command line."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from redis.asyncio import Redis

from deployments.history.audit_jobs import forget_audit
from launch.errors import LaunchError
from launch.redis_server import RedisServer
from observability.clickhouse.home import Home, abandon, known_home, read_mark
from observability.ledger import lag, noted_heads
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis


async def show(settings: Settings) -> str:
    async with opened_redis(settings) as redis:
        home = await known_home(redis)
    if home is None:
        return "No archive has been opened yet; the first folder to be opened becomes the archive."
    return f"archive {home.archive_id}  on node {home.node}  in {home.folder}"


async def give_up(settings: Settings) -> str:
    async with opened_redis(settings) as redis:
        _refuse_one_that_is_here(await known_home(redis), settings)
        home = await abandon(redis)
        await noted_heads.forget(redis)  # their chains are given up with it
        await forget_audit(redis)
        await lag.forget(redis)  # nothing is in the next archive yet
    if home is None:
        return "There is no archive to give up."
    return (
        f"The archive {home.archive_id} on node {home.node} in {home.folder} is given up: "
        "decisions that are only there can no longer be found. The next history to start "
        "creates a new archive."
    )


def _refuse_one_that_is_here(known: Home | None, settings: Settings) -> None:
    """Keep an archive that can be read: the next history would only take its folder again."""
    folder = settings.paths.history
    if settings.clickhouse_url is None and known and known.archive_id == read_mark(folder):
        raise LaunchError(
            f"The archive {known.archive_id} is not lost: it is in {folder}. To create a "
            "new one anyway, end the platform with `ballast down` and move that folder "
            "away first."
        )


@asynccontextmanager
async def opened_redis(
    settings: Settings,
    only_redis_knows: str = "where the archive is and what has not been written to it yet",
) -> AsyncIterator[Redis]:
    """Open Redis; the embedded one is started for this where the platform does not run."""
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        with ExitStack() as undo:
            if settings.embedded_redis and not await _answers(redis):
                server = RedisServer(settings.paths.redis, settings.paths.redis_socket)
                undo.callback(server.stop)
                server.start()
            yield redis
    except REDIS_AWAY as away:
        raise LaunchError(
            f"Redis does not answer ({type(away).__name__}), and only Redis knows "
            f"{only_redis_knows}: start it, or correct REDIS_URL."
        ) from None
    finally:
        await redis.aclose()


async def _answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except REDIS_AWAY:
        return False
