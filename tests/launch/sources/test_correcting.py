"""`ballast sources correct` and `force`, and how a mapping that is held back is shown."""

import asyncio
import json
from pathlib import Path

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from config_store.sources import ClickhouseSource, PushSource, SourceConfig, SourcesConfig
from config_store.store import ConfigStore
from deployments.telemetry.remapping import mapping_id
from features.candidates.bounds import CandidateBounds
from launch.cli import app
from launch.sources.change import change_sources
from launch.sources.listing import held_back
from settings.environment import Settings
from tests.launch.sources.test_commands import NOW

pytestmark = pytest.mark.usefixtures("settings")

QUERY = {
    "kind": "table",
    "table": "minutes",
    "entity": "service",
    "time": "minute",
    "metrics": {"p99_ms": {"kind": "gauge", "column": "p99_ms"}},
}
SOURCES: dict[str, SourceConfig] = {
    "tables": ClickhouseSource.model_validate({"url": "http://tables:8123", "query": QUERY}),
    "desk": PushSource(),
}


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["sources", *words]))


async def connected(redis: Redis) -> SourcesConfig:
    return (await ConfigStore(redis).active()).document.sources


async def test_a_mapping_is_corrected_and_forced_and_the_rest_stays(
    redis: Redis, tmp_path: Path, settings: Settings
) -> None:
    assert (await invoke("list")).exit_code == 0  # which ships the first configuration
    bounds = CandidateBounds(most_ratio=3.0)

    def connect(sources: SourcesConfig) -> SourcesConfig:
        return sources.model_copy(update={"named": SOURCES, "publishing": bounds})

    await change_sources(redis, settings.paths.models, connect, "a test", NOW)
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(QUERY | {"entity": "host"}))
    corrected = await invoke("correct", "tables", str(mapping))
    assert corrected.exit_code == 0, corrected.output
    assert (await connected(redis)).publishing == bounds
    source = (await connected(redis)).named["tables"]
    assert isinstance(source, ClickhouseSource)
    assert source.query.model_dump()["entity"] == "host"
    assert source.forced is None
    forced = await invoke("force", "tables")
    assert forced.exit_code == 0, forced.output
    source = (await connected(redis)).named["tables"]
    assert isinstance(source, ClickhouseSource)
    assert source.forced == mapping_id(source)

    mapping.write_text(json.dumps(QUERY | {"entity": ""}))
    for words, said in (
        (("correct", "tables", str(mapping)), "entity"),
        (("correct", "tables", str(tmp_path / "none.json")), "holds no mapping that can be read"),
        (("force", "desk"), "only of a prometheus, clickhouse or candles source"),
        (("force", "nobody"), "nobody"),
    ):
        refused = await invoke(*words)
        assert refused.exit_code == 1
        assert said in " ".join(refused.output.split())
    assert (await connected(redis)).named["tables"] == source


def test_what_is_held_back_is_said_with_what_to_do() -> None:
    held = {"why": "The mapping 3f is held back", "refused": True}
    assert [*held_back("tables", {})] == []
    said = " ".join(held_back("tables", {"held_back": held}))
    assert "tables: The mapping 3f is held back." in said
    assert "`ballast sources correct tables FILE`" in said
    assert "`ballast sources force tables`" in said
    assert [*held_back("tables", {"held_back": held | {"refused": False}})] == [
        "tables: The mapping 3f is held back."
    ]
