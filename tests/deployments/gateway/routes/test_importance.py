"""GET /features/importance, of models that a registry made champion."""

from pathlib import Path
from typing import Any

from access.keys import Role
from models.model_version import DEMO, TELEMETRY
from models.pointer import read_pointer, write_pointer
from models.registry import CHAMPION
from models.tail.importance import Importance, named
from models.tail.naming import TAIL_MODEL
from tests.deployments.house import House


async def asked(house: House) -> list[dict[str, Any]]:
    async with house.client(Role.VIEWER) as client:
        found = await client.get("/features/importance")
    assert found.status_code == 200, found.text
    models: list[dict[str, Any]] = found.json()["models"]
    return models


async def test_the_version_that_answers_tells_what_matters_to_it(house: House) -> None:
    models: Path = house.context.settings.paths.models
    before = await asked(house)
    assert [(each["model"], each["inputs"]) for each in before] == [(TAIL_MODEL, [])]
    champion = read_pointer(models, TAIL_MODEL, CHAMPION)
    assert champion is not None
    judged = {"rate_ratio": Importance(0.25, 0.01), "load": Importance(0.5, float("nan"))}
    champion.metrics.update(named(judged))
    champion.tags[TELEMETRY] = DEMO
    write_pointer(models, CHAMPION, champion)
    (shown,) = await asked(house)
    assert (shown["version"], shown["of_demo"]) == (champion.version, True)
    assert [
        (each["input"], each["features"], each["importance"], each["standard_error"])
        for each in shown["inputs"]
    ] == [
        ("load", ["load"], 0.5, None),
        ("rate_ratio", ["request_rate", "baseline_rate"], 0.25, 0.01),
    ]


async def test_without_a_champion_there_is_none(house: House) -> None:
    folder = house.context.settings.paths.models
    (folder / TAIL_MODEL.replace("/", ".") / f"{CHAMPION}.json").unlink()
    assert await asked(house) == []
