"""Definitions and vectors of features, as clients get them through the gateway."""

import asyncio
import math
import time
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from access.keys import Role
from config_store.own_features import OwnFeature
from deployments.definitions.in_force import ActiveDefinition, Decided, Refusal, definitions_key
from features.candidates.bounds import CandidateBounds
from features.candidates.compared import Figure
from features.definitions.catalogue import STORED, Catalogue
from features.functions.evaluated import FunctionHealth
from features.vectors import kept
from features.vectors.published import as_stored
from features.vectors.vector import GROUPS, Layout, Vector, group_of
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.waiting import until

Answer = dict[str, Any]
LIVE, HOUR_MEAN = "load", "request_rate_mean_1h"
NAMES = [each.name for each in STORED]


def vector(at: float, cadence: float = 60.0, **values: float) -> Vector:
    numbers = {name: float(place) / 100 for place, name in enumerate(NAMES)} | values
    known = [at + 10 + place for place in range(len(GROUPS))]
    return Vector(numbers, [at + place for place in range(len(GROUPS))], known, cadence)


async def put(redis: Redis, **vectors: Vector) -> None:
    await redis.mset(as_stored(redis, vectors))


def place(name: str) -> int:
    (found,) = [each for each in STORED if each.name == name]
    return GROUPS.index(group_of(found))


async def get(house: House, path: str, status: int = 200) -> Answer:
    async with house.client(Role.VIEWER) as client:
        found = await client.get(path)
    assert found.status_code == status, found.text
    answer: Answer = found.json()
    return answer


async def ask(house: House, body: Any, status: int = 200) -> Answer:
    async with house.client(Role.VIEWER) as client:
        found = await client.post("/features/vectors", content=orjson.dumps(body))
    assert found.status_code == status, found.text
    answer: Answer = found.json()
    return answer


async def test_own_definitions_are_computed_of_others_and_of_each_other(
    house: House, redis: Redis
) -> None:
    await put(redis, checkout=vector(time.time(), load=0.5, request_rate=200.0, error_rate=0.05))
    own = {
        "risky": OwnFeature(expression="where(failing > 5 and load < 1, failing, 0)", high=9.0),
        "failing": OwnFeature(expression="error_rate * request_rate", unit="1/s", owner="sre"),
        "busy": OwnFeature(expression="load >= 0.5"),
    }
    features = house.document.features.model_copy(update={"definitions": own})
    await house.deploy(house.document.model_copy(update={"features": features}))
    path = "/features/vector?entity=checkout&features=risky,failing,busy"
    found = (await get(house, path))["features"]
    assert [found["failing"]["value"], found["busy"]["value"]] == [10.0, 1.0]
    assert (found["risky"]["value"], found["risky"]["why"]) == (None, "out of bounds")
    shown = {each["name"]: each for each in (await get(house, "/features/definitions"))["features"]}
    assert (shown["busy"]["type"], shown["failing"]["owner"]) == ("truth", "sre")
    assert shown["risky"]["source"] == ["failing", "load"]


async def test_a_definition_that_is_held_back_is_shown_and_the_one_before_answers(
    house: House, redis: Redis
) -> None:
    before, wrong = OwnFeature(expression="load * 2"), OwnFeature(expression="load * 200")
    function = OwnFeature(function="own:f", inputs=("load",))
    named = {
        "twice": ActiveDefinition(definition=before),
        "own": ActiveDefinition(definition=function, sha256="00" * 32),
    }
    refusal = Refusal(
        ids={"twice": wrong.id("")},
        bounds=CandidateBounds(),
        since=5.0,
        why="The new definition is held back",
        refused=True,
        figures=(Figure(of="median", before=1, after=100, bound="2", within=False),),
    )
    health = {"own": FunctionHealth(state="failing", why="the function own:f is slow", since=6.0)}
    decided = Decided(named=named, refusals=(refusal,), health=health)
    await redis.set(definitions_key(redis), decided.model_dump_json())
    own = {"twice": wrong, "own": function, "new": OwnFeature(expression="twice + 1")}
    features = house.document.features.model_copy(
        update={"definitions": own, "refresh_seconds": 0.05}
    )
    await house.deploy(house.document.model_copy(update={"features": features}))
    await put(redis, checkout=vector(time.time(), load=0.5))
    await until(lambda: house.context.features.decided is not None)
    path = "/features/vector?entity=checkout&features=twice,new,own"
    found = (await get(house, path))["features"]
    assert [found[name]["value"] for name in ("twice", "new", "own")] == [1.0, 2.0, None]
    shown = {each["name"]: each for each in (await get(house, "/features/definitions"))["features"]}
    assert shown["twice"]["how"] == "load * 2"
    assert shown["twice"]["held_back"] == {
        "id": wrong.id(""),
        "since": 5.0,
        "why": "The new definition is held back",
        "refused": True,
        "figures": [{"of": "median", "before": 1, "after": 100, "bound": "2", "within": False}],
    }
    assert shown["own"]["health"] == {
        "state": "failing",
        "why": "the function own:f is slow",
        "since": 6.0,
    }
    assert shown["own"]["how"] == "function own:f, of the module 000000000000"
    assert [shown["load"][part] for part in ("held_back", "health")] == [None, None]
    # The history tells that it is in force: gateways take it over.
    accepted = Decided(named=named | {"twice": ActiveDefinition(definition=wrong)})
    await redis.set(definitions_key(redis), accepted.model_dump_json())
    await until(lambda: house.context.features.decided == accepted)
    assert (await get(house, path))["features"]["twice"]["value"] == 100.0


async def test_what_is_asked_for_is_renewed_in_the_background_and_counted(
    house: House, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "GIVEN_FOR", 1e9)  # else it would be read anew in any case
    features = house.document.features.model_copy(update={"refresh_seconds": 0.05})
    await house.deploy(house.document.model_copy(update={"features": features}))
    await put(redis, checkout=vector(time.time(), load=0.25))
    wanted = {"entities": ["checkout"], "features": ["load"]}
    assert (await ask(house, wanted))["rows"][0]["values"] == [0.25]
    await put(redis, checkout=vector(time.time(), load=0.5))
    asked = 1
    while (await ask(house, wanted))["rows"][0]["values"] == [0.25]:
        asked += 1
        await asyncio.sleep(0.05)
    registry = house.context.replica.metrics.registry
    await until(lambda: registry.get_sample_value("feature_cache_hits_total") == asked)
    assert registry.get_sample_value("feature_cache_misses_total") == 1.0


async def test_without_redis_it_says_so(house: House, redis_server: RedisServer) -> None:
    redis_server.kill()
    refusal = (await get(house, "/features/vector?entity=a&features=load", 503))["error"]
    assert "Redis, which holds the features" in refusal["message"]


@pytest.mark.asyncio(loop_scope="class")
class TestReading:
    """What leaves nothing behind, in one house."""

    async def test_the_definitions_tell_all_that_decides_a_value(self, shared_house: House) -> None:
        found = {
            each["name"]: each
            for each in (await get(shared_house, "/features/definitions"))["features"]
        }
        assert set(NAMES) < set(found)
        assert {name: each["version"] for name, each in found.items()} == Catalogue().versions
        load, hour, score = found[LIVE], found[HOUR_MEAN], found["load_score"]
        assert (load["kind"], load["source"]) == ("REAL_TIME", ["load", "cpu", "active_workers"])
        assert (hour["kind"], hour["how"]) == (
            "BATCH",
            "mean of request_rate over 3600 s, every 60 s",
        )
        assert (score["kind"], score["low"], score["high"]) == ("DERIVED", 0.0, 1.0)

    @pytest.mark.parametrize("features", ["load," * 1000, "lo%C3%A4d"])
    async def test_a_list_that_fits_into_no_head_is_refused(
        self, shared_house: House, features: str
    ) -> None:
        path = f"/features/vector?entity=timed&features={features}"
        assert "query.features" in (await get(shared_house, path, 422))["error"]["fields"]

    async def test_a_vector_has_each_value_with_its_own_times(self, shared_house: House) -> None:
        at = time.time() - 30
        await put(
            shared_house.redis, timed=vector(at, load=0.75, cpu_mean_1h=math.nan, error_rate=1.5)
        )
        path = "/features/vector?entity=timed&features=load,cpu_mean_1h,error_rate,load"
        found = await get(shared_house, path)
        assert found["entity"] == "timed"
        assert found["features"]["load"] == {
            "value": 0.75,
            "event_time": at + place("load"),
            "known_time": at + 10 + place("load"),
            "stale": False,
            "why": None,
        }
        missing, outside = found["features"]["cpu_mean_1h"], found["features"]["error_rate"]
        assert (missing["value"], missing["why"]) == (None, "missing")
        assert (outside["value"], outside["why"]) == (None, "out of bounds")

    async def test_left_out_names_mean_all(self, shared_house: House) -> None:
        await put(shared_house.redis, all=vector(time.time()))
        found = await get(shared_house, "/features/vector?entity=all")
        assert set(found["features"]) == set(Catalogue().by_name)

    async def test_an_unknown_entity_is_not_found_alone_and_empty_among_others(
        self, shared_house: House
    ) -> None:
        refusal = (await get(shared_house, "/features/vector?entity=nobody", 404))["error"]
        assert "'nobody'" in refusal["message"]
        nothing = {"values": [None], "event_time": [None], "known_time": [None], "stale": [False]}
        found = await ask(shared_house, {"entities": ["nobody"], "features": ["load"]})
        assert found["rows"] == [{"entity": "nobody"} | nothing]

    @pytest.mark.parametrize(("cadence", "age", "stale"), [(60, 170, False), (60, 200, True)])
    async def test_a_value_is_stale_by_its_own_time_to_live(
        self, shared_house: House, cadence: float, age: float, stale: bool
    ) -> None:
        await put(
            shared_house.redis,
            **{f"aged-{age}": vector(time.time() - age, cadence)},
            **{f"slow-{age}": vector(time.time() - age, 300)},
        )
        both = {"entities": [f"aged-{age}", f"slow-{age}"], "features": [LIVE, "cpu_mean_7d"]}
        found = await ask(shared_house, both)
        assert [row["stale"] for row in found["rows"]] == [[stale, False], [False, False]]

    async def test_rows_and_columns_say_the_same(self, shared_house: House) -> None:
        at = time.time()
        await put(shared_house.redis, a=vector(at, load=0.25), b=vector(at - 5000, load=0.5))
        wanted = {
            "entities": ["b", "nobody", "a", "b"],
            "features": ["load_score", "load", "cpu_sd_24h"],
        }
        rows, columns = (
            await ask(shared_house, wanted),
            await ask(shared_house, wanted | {"answer": "columns"}),
        )
        assert rows["features"] == list(columns["columns"]) == wanted["features"]
        assert columns["entities"] == [row["entity"] for row in rows["rows"]] == wanted["entities"]
        for word in ("values", "event_time", "known_time", "stale"):
            turned = [list(each) for each in zip(*(row[word] for row in rows["rows"]), strict=True)]
            assert turned == [columns["columns"][name][word] for name in wanted["features"]]
        assert columns["columns"]["load"]["values"] == [0.5, None, 0.25, 0.5]
        assert columns["columns"]["load"]["stale"] == [True, False, False, True]
        # The score needs the baseline as well, whose values the fixture gives.
        assert columns["columns"]["load_score"]["stale"] == [True, False, False, True]

    @pytest.mark.parametrize(
        ("body", "field", "words"),
        [
            ({"entities": ["a"], "features": ["laod"]}, "features", "'laod'; did you mean 'load'?"),
            ({"entities": [], "features": ["load"]}, "entities", "at least 1"),
            ({"entities": ["a"] * 1001, "features": ["load"]}, "entities", "at most 1000"),
            ({"entities": ["a"] * 1000, "features": NAMES}, "features", "ask in parts"),
            ({"entities": ["a"], "features": ["load"], "more": 1}, "more", "Extra"),
        ],
    )
    async def test_what_cannot_be_asked_is_refused_by_its_field(
        self, shared_house: House, body: Any, field: str, words: str
    ) -> None:
        refusal = (await ask(shared_house, body, 422))["error"]
        assert words in refusal["fields"][field]

    async def test_a_thousand_long_names_are_taken(self, shared_house: House) -> None:
        body = {"entities": [f"{at:0200}" for at in range(1000)], "features": ["load"]}
        found = await ask(shared_house, body | {"answer": "columns"})
        assert found["columns"]["load"]["values"] == [None] * 1000

    async def test_what_another_release_published_is_read_by_its_own_layout(
        self, shared_house: House
    ) -> None:
        versions = Catalogue().versions
        theirs = Layout(("load", "novel", "infra"), (versions["load"], "x", "another"), (0, 0, 1))
        numbers = Vector({"load": 0.5, "novel": 1.0, "infra": 2.0}, [9.0, 8.0], [7.0, 6.0], 60.0)
        own = as_stored(shared_house.redis, {"ours": vector(time.time(), load=0.25)})
        (key,) = [name for name in own if name.endswith(":ours")]
        (layout_key,) = [name for name in own if name != key]
        await shared_house.redis.mset(
            own | {key.removesuffix("ours") + "theirs": numbers.encode(theirs)}
        )
        wanted = {
            "entities": ["theirs", "ours"],
            "features": ["load", "infra"],
            "answer": "columns",
        }
        unread = await ask(shared_house, wanted)
        assert unread["columns"]["load"]["values"] == [None, 0.25]
        await shared_house.redis.set(
            f"{layout_key.rpartition(':')[0]}:{theirs.id.hex()}", theirs.encoded
        )
        found = (await ask(shared_house, wanted))["columns"]
        assert found["load"]["values"] == [0.5, 0.25]
        # The same name, and another definition: what it says is not what is asked for.
        assert found["infra"]["values"][0] is None

    async def test_a_key_is_asked_for_before_the_body_is_read(self, shared_house: House) -> None:
        async with shared_house.stranger() as client:
            found: httpx.Response = await client.post("/features/vectors", content=b"{" * 100)
        assert found.status_code == 401
