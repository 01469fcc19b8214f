"""Definitions in the configuration are checked where they are written."""

from typing import Any

import pytest
from pydantic import ValidationError

from config_store.document import FeatureConfig
from config_store.own_features import catalogue_of


def mistake(definitions: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        FeatureConfig.model_validate({"definitions": definitions})
    return str(refused.value)


def test_own_features_join_the_shipped_ones() -> None:
    failures = {"expression": "error_rate * request_rate", "low": 0.0, "unit": "1/s"}
    config = FeatureConfig.model_validate({"definitions": {"failures": failures}})
    found = config.catalogue().by_name["failures"]
    assert (found.low, found.unit, found.source) == (0.0, "1/s", ("error_rate", "request_rate"))
    assert config.catalogue().ttl_seconds("failures") == config.stale_after_seconds


@pytest.mark.parametrize(
    ("name", "definition", "words"),
    [
        ("mine", {"expression": "load +* 2"}, "definitions.mine: expression 'load +* 2', column 7"),
        ("mine", {"expression": "laod"}, "definitions.mine: there is no feature 'laod'; did you"),
        ("mine", {"expression": "mine + 1"}, "definitions.mine: it needs itself"),
        ("load", {"expression": "infra"}, "definitions.load: there is one of this name"),
        ("mine", {"expression": "load", "low": 2, "high": 1}, "low 2 is more than high 1"),
        ("where", {"expression": "load"}, "'where' means something in expressions"),
        ("Mine", {"expression": "load"}, "should match pattern"),
        ("mine", {}, "give either an expression or a function"),
        ("mine", {"expression": "load", "function": "a:f"}, "give either an expression"),
        ("mine", {"expression": "load", "inputs": ["load"]}, "inputs are of a function"),
        ("mine", {"function": "a:f"}, "inputs are of a function"),
        ("mine", {"function": "a:f", "inputs": ["load", "load"]}, "named twice"),
        ("mine", {"function": "a:f", "inputs": ["laod"]}, "there is no feature 'laod'"),
        ("mine", {"function": "a:f", "inputs": ["mine"]}, "it needs itself"),
        ("mine", {"function": "../a:f", "inputs": ["load"]}, "should match pattern"),
        ("mine", {"function": "a", "inputs": ["load"]}, "should match pattern"),
        ("mine", {"function": "a..b:f", "inputs": ["load"]}, "should match pattern"),
    ],
)
def test_a_mistake_is_refused_with_its_place(
    name: str, definition: dict[str, Any], words: str
) -> None:
    assert words in mistake({name: definition})


def test_there_may_be_so_many() -> None:
    many = {f"f{at}": {"expression": "load"} for at in range(201)}
    assert "at most 200" in mistake(many)


def test_a_function_has_its_inputs_and_the_version_of_its_module() -> None:
    own = {"mine": {"function": "team.a:f", "inputs": ["load", "cpu_mean_1h"], "high": 1}}
    config = FeatureConfig.model_validate({"definitions": own})
    mine = config.definitions["mine"]
    assert (mine.module, mine.needs) == ("team.a", ("load", "cpu_mean_1h"))
    assert config.catalogue().by_name["mine"].source == ("load", "cpu_mean_1h")
    first, second = (
        catalogue_of(config.definitions, 180.0, {"mine": each}) for each in ("00", "11")
    )
    assert first.versions["mine"] != second.versions["mine"]
    described = mine.model_copy(update={"description": "of the team", "forced": "0" * 12})
    assert described.id("00") == mine.id("00") != mine.id("11")
    assert mine.model_copy(update={"high": 2.0}).id("00") != mine.id("00")
