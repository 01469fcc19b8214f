"""`ballast features list`, `define` and `force`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from config_store.own_features import OwnFeature
from config_store.store import ConfigStore
from deployments.definitions.in_force import ActiveDefinition, Decided, Refusal, definitions_key
from features.candidates.bounds import CandidateBounds
from features.functions.evaluated import FunctionHealth
from launch.cli import app

pytestmark = pytest.mark.usefixtures("settings")

BEFORE = OwnFeature(expression="load * 2")


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["features", *words]))


async def said(*words: str) -> str:
    found = await invoke(*words)
    assert found.exit_code == 0, found.output
    return " ".join(found.output.split())


async def refused(*words: str) -> str:
    found = await invoke(*words)
    assert found.exit_code == 1, found.output
    return " ".join(found.output.split())


async def own(redis: Redis) -> dict[str, OwnFeature]:
    return (await ConfigStore(redis).active()).document.features.definitions


async def test_a_feature_is_defined_changed_and_forced(redis: Redis, tmp_path: Path) -> None:
    assert "No feature is defined" in await said("list")
    file = tmp_path / "mine.json"

    def write(content: Any) -> str:
        file.write_text(json.dumps(content))
        return str(file)

    await said("define", "mine", write({"expression": "load * 2"}))
    await said("define", "other", write({"function": "team.own:f", "inputs": ["mine"]}))
    assert "mine not yet known load * 2" in await said("list")
    named = {
        "mine": ActiveDefinition(definition=BEFORE),
        "other": ActiveDefinition(definition=(await own(redis))["other"]),
    }
    wrong = OwnFeature(expression="load * 200")
    refusal = Refusal(
        ids={"mine": wrong.id("")},
        bounds=CandidateBounds(),
        since=1.0,
        why="The new definition is held back, the one before goes on: quantile 0.5",
        refused=True,
    )
    health = {"other": FunctionHealth(state="failing", why="the function took long", since=1.0)}
    decided = Decided(named=named, refusals=(refusal,), health=health)
    await redis.set(definitions_key(redis), decided.model_dump_json())
    await said("define", "mine", write({"expression": "load * 200"}))
    shown = await said("list")
    assert "mine held back load * 200" in shown
    assert "other failing team.own:f" in shown
    assert "other: the function took long." in shown
    assert "`ballast features force mine`" in shown
    await said("force", "mine")
    assert (await own(redis))["mine"].forced == wrong.id("")
    assert (await own(redis))["other"].forced is None
    assert "No definition of other is held back" in await refused("force", "other")
    assert "there is no feature 'laod'" in await refused(
        "define", "mine", write({"expression": "laod"})
    )
    assert "either an expression or a function" in await refused("define", "mine", write({}))
    assert "mine pattern" not in await refused("define", "Mine", write({"expression": "load"}))
    assert "holds no definition" in await refused("define", "mine", str(tmp_path / "none.json"))
    assert (await own(redis))["mine"].expression == "load * 200"
