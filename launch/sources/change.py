"""Changes the configuration's sources: a new version, made of the one that is active."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis

from config_store.document import ConfigDocument
from config_store.errors import ConfigError
from config_store.sources import SourceConfig, SourcesConfig
from config_store.store import ConfigStore
from launch.archive_command import opened_redis
from launch.bootstrap import prepare_redis
from launch.document_change import Made, change_document
from launch.errors import LaunchError, UnknownSourceError
from settings.environment import Settings

Change = Callable[[SourcesConfig], SourcesConfig]


@asynccontextmanager
async def configuration(settings: Settings) -> AsyncIterator[Redis]:
    """Open the Redis that holds the configuration; a fresh one gets the shipped one first."""
    async with opened_redis(settings, "the configuration") as redis:
        try:
            if await redis.get(ConfigStore(redis).active_key) is None:
                await prepare_redis(settings)
            yield redis
        except ConfigError as error:
            raise LaunchError(str(error)) from None


async def change_sources(
    redis: Redis, models: Path, change: Change, reason: str, now: datetime
) -> Made:
    """Make a version of what a change makes of the active sources, and deploy it."""

    def changed(document: ConfigDocument) -> ConfigDocument:
        return document.model_copy(update={"sources": change(document.sources)})

    return await change_document(redis, models, changed, reason, now)


def add(name: str, source: SourceConfig) -> Change:
    """Make a change that adds a source; it refuses a name that is taken."""

    def change(sources: SourcesConfig) -> SourcesConfig:
        refuse_taken(sources, name)
        return _with(sources, {**sources.named, name: source})

    return change


def remove(name: str) -> Change:
    def change(sources: SourcesConfig) -> SourcesConfig:
        source_of(sources, name)
        return _with(sources, {key: each for key, each in sources.named.items() if key != name})

    return change


def pause(name: str, *, paused: bool) -> Change:
    def change(sources: SourcesConfig) -> SourcesConfig:
        source = source_of(sources, name).model_copy(update={"paused": paused})
        return _with(sources, {**sources.named, name: source})

    return change


def source_of(sources: SourcesConfig, name: str) -> SourceConfig:
    """Give the source of this name, or say which there are."""
    found = sources.named.get(name)
    if found is None:
        raise UnknownSourceError(name, sources.named)
    return found


def refuse_taken(sources: SourcesConfig, name: str) -> None:
    if name in sources.named:
        raise LaunchError(
            f"A source named {name} is connected already ({where(sources.named[name])}). Give "
            f"another --name, or remove that one first: `ballast sources remove {name}`."
        )


_SENT = {
    "push": "rows posted to /telemetry",
    "remote_write": "samples written to /api/v1/write",
    "posted_logs": "lines posted to /telemetry/logs",
}


def where(source: SourceConfig) -> str:
    """Say in a few words where a source's telemetry comes from."""
    match source.kind:
        case "clickhouse":
            return str(source.url or source.folder)
        case "prometheus" | "candles":
            return str(source.url)
        case "push" | "remote_write" | "posted_logs":
            return _SENT[source.kind]
        case "logs":
            return ", ".join(source.lines.paths)
        case "kafka":
            return f"{source.topic} at {', '.join(source.servers)}"


def _with(sources: SourcesConfig, named: dict[str, SourceConfig]) -> SourcesConfig:
    return sources.model_copy(update={"named": named})
