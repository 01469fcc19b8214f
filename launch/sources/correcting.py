"""Corrects the mapping of a source that is asked, and forces one that is held back."""

import json
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from config_store.sources import QueriedSource, SourceConfig, SourcesConfig
from deployments.telemetry.remapping import mapping_field, mapping_id
from launch.document_change import Made
from launch.errors import LaunchError
from launch.sources.change import Change, change_sources, configuration, source_of
from launch.sources.validation import wrong
from settings.environment import Settings


async def correct(settings: Settings, name: str, path: Path, now: datetime) -> str:
    """Put the mapping of a file in the place of the one that is configured."""
    rules = _read(path)

    def change(sources: SourcesConfig) -> SourcesConfig:
        source = _comparable(name, source_of(sources, name))
        fields = source.model_dump(mode="json") | {mapping_field(source): rules}
        try:
            changed = type(source).model_validate(fields)
        except ValidationError as refusal:
            raise wrong(refusal) from None
        return _with(sources, name, changed)

    made = await _publish(settings, change, f"the mapping of {name} is corrected", now)
    described = made.describe(f"The mapping of {name} is corrected")
    return (
        f"{described} It is compared with the one in force "
        "and followed where it is within bounds; `ballast sources list` shows what became of it."
    )


async def force(settings: Settings, name: str, now: datetime) -> str:
    """Have the configured mapping followed although it is out of bounds."""

    def change(sources: SourcesConfig) -> SourcesConfig:
        source = _comparable(name, source_of(sources, name))
        return _with(sources, name, source.model_copy(update={"forced": mapping_id(source)}))

    made = await _publish(settings, change, f"the mapping of {name} is forced", now)
    what = f"The mapping of {name} is followed, whatever it gives"
    return f"{made.describe(what)} A later change of it is compared again."


async def _publish(settings: Settings, change: Change, reason: str, now: datetime) -> Made:
    async with configuration(settings) as redis:
        return await change_sources(redis, settings.paths.models, change, reason, now)


def _comparable(name: str, source: SourceConfig) -> QueriedSource:
    if not isinstance(source, QueriedSource):
        raise LaunchError(
            f"{name} is of the kind {source.kind}: only of a prometheus, clickhouse or candles "
            "source is a mapping compared before it is followed."
        )
    return source


def _with(sources: SourcesConfig, name: str, source: SourceConfig) -> SourcesConfig:
    return sources.model_copy(update={"named": {**sources.named, name: source}})


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LaunchError(f"{path} holds no mapping that can be read: {error}.") from None
