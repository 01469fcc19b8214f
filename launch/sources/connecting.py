"""Looks at what is to be connected, and connects it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import SystemRandom

from pydantic import HttpUrl, TypeAdapter

from config_store.sources import (
    PrometheusSource,
    PushSource,
    RemoteWriteSource,
    SourceConfig,
)
from config_store.store import ConfigStore
from features.sources.http.connection import Limits
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.proposal import propose
from features.sources.prometheus.proposed import Proposal
from features.sources.prometheus.source import SETTLING_SECONDS
from features.sources.rules import Mapping
from launch.errors import LaunchError
from launch.sources.change import add, change_sources, configuration, refuse_taken
from launch.sources.validation import checked, read_file, refuse_password
from settings.environment import Settings

# Who sits at a terminal is told sooner than what goes on by itself.
LOOKING = Limits(answer_seconds=20.0)

_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


@dataclass(frozen=True, slots=True)
class PrometheusTarget:
    """The Prometheus that a user names."""

    name: str
    url: str
    cadence_seconds: int
    token_file: Path | None

    def source(self, mapping: Mapping) -> PrometheusSource:
        return PrometheusSource(
            url=_URL.validate_python(self.url),
            cadence_seconds=self.cadence_seconds,
            token_file=None if self.token_file is None else str(self.token_file),
            mapping=mapping,
        )


def prometheus_target(
    name: str, url: str, cadence_seconds: int, token_file: Path | None
) -> PrometheusTarget:
    """Check what the user wrote, before anything is asked."""
    url = url if "://" in url else f"http://{url}"
    file = None if token_file is None else token_file.absolute()
    refuse_password(url)
    target = PrometheusTarget(name, url, cadence_seconds, file)
    checked(name, lambda: target.source(Mapping.model_validate(_ANY_MAPPING)))
    return target


# What the other fields are checked with, before there is a mapping.
_ANY_MAPPING = {
    "entity": "job",
    "metrics": {"active_workers": {"kind": "gauge", "of": {"name": "up"}}},
}


def read_mapping(file: Path) -> Mapping:
    """Read a mapping of the user's own."""
    return read_file(file, "mapping", Mapping.model_validate_json)


async def refuse_taken_name(settings: Settings, name: str) -> None:
    """Say that a name is taken before a server is looked through for it."""
    async with configuration(settings) as redis:
        refuse_taken((await ConfigStore(redis).active()).document.sources, name)


async def refuse_again(settings: Settings, url: str) -> None:
    """Say that a Prometheus is connected already, under whatever name."""
    async with configuration(settings) as redis:
        named = (await ConfigStore(redis).active()).document.sources.named
    for name, each in named.items():
        if isinstance(each, PrometheusSource) and _place(str(each.url)) == _place(url):
            raise LaunchError(
                f"{url} is connected already, as {name}: each of its services would be measured "
                f"twice. Remove that source first with `ballast sources remove {name}`, or give "
                "--force where this one is to measure other services of it."
            )


def _place(url: str) -> str:
    """Give a url as it is compared: its host, its port and its path."""
    parsed = _URL.validate_python(url)
    host = "127.0.0.1" if parsed.host == "localhost" else parsed.host
    return f"{parsed.scheme}://{host}:{parsed.port}{(parsed.path or '').rstrip('/')}"


async def consequence(settings: Settings) -> str:
    """Say what becomes of the demo with the first source; empty where there is one already."""
    async with configuration(settings) as redis:
        named = (await ConfigStore(redis).active()).document.sources.named
    if named or settings.clickhouse_url is not None:
        return ""
    return (
        "This is the first source, so it takes the demo's place: the demo's services and all of "
        "their telemetry are removed. Models that learned from the demo go on answering, and say "
        "so, until there is enough telemetry of yours to train them anew."
    )


async def look_at(
    target: PrometheusTarget, entity: str | None, now: datetime, *, plain: bool = False
) -> Proposal:
    """Ask the Prometheus what it has, and propose a mapping of it, plain where it is for writes."""
    at = int(now.timestamp() - SETTLING_SECONDS)
    async with _open_api(target) as api:
        return await propose(
            api,
            at=at // target.cadence_seconds * target.cadence_seconds,
            cadence_seconds=target.cadence_seconds,
            entity=entity,
            plain=plain,
        )


async def connect(settings: Settings, name: str, source: SourceConfig, now: datetime) -> str:
    """Add the source to the configuration."""
    async with configuration(settings) as redis:
        what, models = f"{name} is connected", settings.paths.models
        made = await change_sources(redis, models, add(name, source), what, now)
    return made.describe(what)


def push_source(name: str, cadence_seconds: int) -> PushSource:
    """Give a source of rows that clients post."""
    return checked(name, lambda: PushSource(cadence_seconds=cadence_seconds))


def remote_write_source(
    name: str, mapping: Mapping, cadence_seconds: int, release: int
) -> RemoteWriteSource:
    """Give a source of samples that a Prometheus of this major release writes."""
    fields = {"mapping": mapping, "cadence_seconds": cadence_seconds, "prometheus": release}
    return checked(name, lambda: RemoteWriteSource.model_validate(fields))


def how_to_push(settings: Settings, name: str) -> str:
    """Give a line to paste that posts a row of the minute that is just over."""
    return (
        "Post rows with a key of the role client, such as:\n"
        f"curl 'http://{settings.host}:{settings.port}/telemetry?source={name}' "
        f'-H "X-API-Key: $(cat {settings.paths.key_file})" \\\n  '
        '-d "{\\"rows\\": [{\\"entity\\": \\"checkout\\", \\"ts\\": $(($(date +%s) - 60)), '
        '\\"request_rate\\": 812.5, \\"p99_ms\\": 41.0}]}"'
    )


def how_to_post_lines(settings: Settings, name: str) -> str:
    """Give a line to paste that posts a file of JSON lines."""
    return (
        "Post lines with a key of the role client, such as:\n"
        f"curl 'http://{settings.host}:{settings.port}/telemetry/logs?source={name}' "
        f'-H "X-API-Key: $(cat {settings.paths.key_file})" --data-binary @lines.jsonl'
    )


@asynccontextmanager
async def _open_api(target: PrometheusTarget) -> AsyncIterator[PrometheusApi]:
    api = PrometheusApi(
        target.name,
        target.url,
        random=SystemRandom().random,
        token_file=target.token_file,
        limits=LOOKING,
    )
    try:
        yield api
    finally:
        await api.close()
