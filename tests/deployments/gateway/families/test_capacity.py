import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.forecasting.loaded_models import LoadedModels, registered_name, save_with_kind
from deployments.forecasting.past import past_of
from deployments.forecasting.pending_forecasts import PendingForecasts
from deployments.forecasting.service import Forecasts
from deployments.history.questions import Questions
from deployments.runtime.coverage.offsets_table import key_of
from deployments.runtime.state.cache import USUAL
from features.rows import HOUR_RATE, FeatureRow
from features.store import publish
from models.forecasting.chain import ORDER
from models.forecasting.ensemble import EnsembleForecaster
from models.forecasting.forecaster import Forecast, HourlySeries
from models.forecasting.plan.model import CAPACITY_MODEL, CapacityModel
from models.forecasting.seasonal_average import SeasonalAverage
from models.model_version import DEMO, MEASURED, TELEMETRY, ModelVersion, folder_name
from models.pointer import write_pointer
from models.registry import CHAMPION
from tests.deployments.gateway.conftest import hours
from tests.deployments.house import NOW, House, with_serving
from tests.fortnight import fortnight
from tests.hours import hours_of
from tests.waiting import until

PATH = "/models/capacity-planning"
BODY = {"entity": "order-gateway", "ingest_rate": 2000, "cpu": 0.5, "p99": 12.0}
Body = dict[str, Any]


async def post(house: House, body: Body) -> Any:
    async with house.client() as client:
        found = await client.post(PATH, json=body)
    assert found.status_code == 200, found.text
    return found.json()


def forecasts_of(house: House, alias: str = CHAMPION) -> Forecasts:
    found: Forecasts = house.replicas["forecasting"][0]._service.known(alias)
    return found


def answered_by(house: House, model: str) -> str:
    """Name the forecaster that stands for this one on the table."""
    found: str = forecasts_of(house).table.ahead(str(BODY["entity"]), model).answered_by
    return found


def register(
    house: House,
    name: str,
    model: Any,
    number: str = "1.0.0",
    alias: str = CHAMPION,
    telemetry: str = MEASURED,
) -> None:
    """Give a model an alias, as the registry does."""
    models: LoadedModels = forecasts_of(house).models
    folder = models._folder / folder_name(name) / number
    if name == CAPACITY_MODEL:
        model.save(folder)
    else:
        save_with_kind(model, folder)
    write_pointer(
        models._folder, alias, ModelVersion(name, number, folder, NOW, tags={TELEMETRY: telemetry})
    )


async def test_a_rate_that_is_left_out_is_the_hours_so_far_not_one_minutes(
    house: House, redis: Redis, known: dict[str, FeatureRow]
) -> None:
    entity = str(BODY["entity"])
    newest = known[entity]
    unusual = 3 * newest.values["request_rate"]
    rates = {"request_rate": unusual, HOUR_RATE: unusual / 2}
    await publish(redis, [(entity, replace(newest, values=newest.values | rates))])
    body = {name: value for name, value in BODY.items() if name != "ingest_rate"}
    filled = await post(house, body)
    assert (await house.ledger())[-1]["features"]["request_rate"] == unusual / 2
    stated = await post(house, body | {"ingest_rate": unusual / 2})
    assert filled["data"] == stated["data"]
    # A release before this one publishes none: then it is the newest interval's, as it was.
    before = replace(newest, values=newest.values | {"request_rate": unusual})
    await publish(redis, [("settlement", before)])
    await post(house, body | {"entity": "settlement"})
    assert (await house.ledger())[-1]["features"]["request_rate"] == unusual


@pytest.fixture
async def learned(house: House) -> House:
    """Give the house a forecaster and a capacity model that were trained."""
    register(house, CAPACITY_MODEL, CapacityModel.trained(fortnight().columns()))
    register(
        house, registered_name("ensemble"), EnsembleForecaster([SeasonalAverage(seasons=1)], {})
    )
    await until(lambda: forecasts_of(house).models.capacity is not None)
    # The replica looks by itself, and its table is made after it has loaded the models.
    await until(lambda: answered_by(house, "ensemble") == "ensemble")
    return house


async def test_before_anything_is_trained_the_chain_answers_and_says_so(house: House) -> None:
    await until(lambda: bool(forecasts_of(house).table.entities))
    answer = await post(house, BODY)
    assert len(answer["data"]["forecast"]) == len(answer["data"]["workers"]) == 24
    assert answer["meta"]["degraded"]
    assert answer["meta"]["model"] == "forecasting/seasonal-naive"
    assert set(answer["data"]["passed_over"]) >= {"ensemble", *ORDER[:-1]}
    assert answer["interval"]["lower"] < answer["data"]["forecast"][0]["rate"]


async def test_a_trained_forecaster_and_plan_answer_whole(learned: House) -> None:
    answer = await post(learned, {**BODY, "horizon_hours": 5})
    assert answer["meta"]["model"] == "forecasting/ensemble"
    assert (answer["meta"]["model_version"], answer["meta"]["degraded"]) == ("1.0.0", False)
    data = answer["data"]
    assert (len(data["forecast"]), len(data["workers"])) == (5, 5)
    assert data["next_hour_workers"] == data["workers"][0]
    assert data["plan_basis"] == "learned"
    stamps = [each["ts"] for each in data["forecast"]]
    assert stamps == sorted(stamps)
    assert all(each["lower"] <= each["rate"] <= each["upper"] for each in data["forecast"])


async def test_a_plan_that_the_demo_has_a_part_in_says_so(learned: House) -> None:
    assert "trained_on" not in (await post(learned, BODY))["meta"]
    capacity = CapacityModel.trained(fortnight().columns())
    register(learned, CAPACITY_MODEL, capacity, "1.1.0", telemetry=DEMO)
    models = forecasts_of(learned).models
    await until(lambda: models.capacity is not None and models.capacity.version.of_demo)
    meta = (await post(learned, BODY))["meta"]
    assert (meta["trained_on"], meta["degraded"]) == ("demo", False)
    assert "not from your services" in meta["trained_on_reason"]


async def test_a_version_that_names_another_alias_is_answered_by_that_ones_forecasters(
    learned: House,
) -> None:
    weekly = EnsembleForecaster([SeasonalAverage(seasons=1)], {})
    register(learned, registered_name("ensemble"), weekly, "1.1.0", "challenger")
    capacity = learned.document.serving.capacity.model_copy(update={"alias": "challenger"})
    document = with_serving(learned.document, capacity=capacity)
    versions = []
    for each in (document, learned.document, document):
        number = await learned.deploy(each)
        meta = (await post(learned, BODY))["meta"]
        assert meta["config_version"] == number
        versions.append(meta["model_version"])
    assert versions == ["1.1.0", "1.0.0", "1.1.0"]


async def test_the_forecast_is_the_forecasters_own(learned: House) -> None:
    answer = await post(learned, {"entity": "settlement"})
    hours = hours_of(fortnight(), int(fortnight().ts[-1]) + 60)["settlement"].request_rate
    a_week_ago = hours[-168 + 1 :][:24]  # from the next full hour on
    table = forecasts_of(learned).table
    expected = table.ahead("settlement", "ensemble").point
    shown = [each["rate"] for each in answer["data"]["forecast"]]
    ratio = np.array(shown) / expected
    assert ratio[-1] == pytest.approx(1, abs=0.02)  # what the moment says fades
    assert expected == pytest.approx(a_week_ago)


async def test_every_hour_of_a_plan_is_held_to_the_limits(learned: House) -> None:
    before = await post(learned, BODY)
    most = min(before["data"]["workers"])
    assert max(before["data"]["workers"][1:]) > most
    families = learned.document.safety.families
    policy = families["capacity"]
    narrow = policy.model_copy(
        update={
            "ranges": tuple(
                limit.model_copy(update={"high": float(most)})
                if limit.field == "next_hour_workers" and not limit.name
                else limit
                for limit in policy.ranges
            )
        }
    )
    safety = learned.document.safety.model_copy(
        update={"families": families | {"capacity": narrow}}
    )
    await learned.deploy(learned.document.model_copy(update={"safety": safety}))
    after = await post(learned, BODY)
    assert after["data"]["workers"] == [most] * 24
    beside = {"width:rate", "range:queue_capacity"}  # which so small a fleet breaks too
    broken = [each for each in after["safety"]["violations"] if each["rule"] not in beside]
    assert {each["rule"] for each in broken} == {"range:next_hour_workers"}
    over = [hour for hour, each in enumerate(before["data"]["workers"], 1) if each > most]
    assert [each.get("hour", 1) for each in broken] == over
    assert after["safety"]["level"] == "unsafe"
    assert after["safety"]["unjudged"] == ["drivers"]


async def test_more_load_never_needs_fewer_workers(learned: House) -> None:
    rising: dict[str, list[float]] = {
        "ingest_rate": [10, 500, 2000, 4000, 9000],
        "cpu": [0.1, 0.4, 0.7, 0.9, 1.0],
        "p99": [1, 5, 20, 200],
        "calendar_events": [0, 1, 3, 9],
    }
    for name, values in rising.items():
        rows = [{**BODY, name: value} for value in values]
        planned = [each["data"]["workers"] for each in await post(learned, {"rows": rows})]
        assert (np.diff(np.array(planned), axis=0) >= 0).all(), name
        queues = [each["data"]["queue_capacity"] for each in await post(learned, {"rows": rows})]
        assert sorted(queues) == queues


async def test_an_entity_without_history_gets_an_answer_that_says_so(learned: House) -> None:
    answer = await post(learned, {**BODY, "entity": "nobody-knows-me"})
    assert answer["data"]["basis"] == "no history of this entity: the present rate"
    assert answer["data"]["plan_basis"] == "no history"
    assert answer["data"]["next_hour_workers"] >= 1


async def test_a_row_has_the_same_bits_alone_and_among_others(learned: House) -> None:
    draw = np.random.default_rng(1)
    rows = [
        {
            "entity": str(draw.choice(["order-gateway", "settlement", "stranger"])),
            "ingest_rate": float(draw.uniform(1, 9000)),
            "cpu": float(draw.uniform()),
            "p99": float(draw.uniform(1, 300)),
            "model": str(draw.choice(["prophet", "tft", "nbeats", "ensemble"])),
        }
        for _ in range(40)
    ]
    together = await post(learned, {"rows": rows})
    alone = [await post(learned, row) for row in rows]
    closed = [json.dumps([each["data"], each["interval"]]) for each in together]
    assert closed == [json.dumps([each["data"], each["interval"]]) for each in alone]


class Throwing:
    name = "prophet"

    def forecast(self, series: list[HourlySeries], horizon: int) -> Forecast:
        raise RuntimeError(f"{len(series)} series by {horizon} hours are too many for me")


async def test_a_forecaster_that_throws_is_passed_over(learned: House) -> None:
    (forecasting,) = learned.replicas["forecasting"]
    # A round under way would put its own table in the place of ours.
    loops = forecasting.replica.loops
    (looking,) = (each for each in loops._running if each.name == "look for forecasts")
    await loops.stop(looking)
    forecasts = forecasts_of(learned)
    (loaded,) = forecasts.models.forecasters.values()
    forecasts.models.forecasters["prophet"] = loaded._replace(model=Throwing())
    forecasts.table = forecasting._service.make(forecasts.models)
    answer = await post(learned, {**BODY, "model": "prophet"})
    assert answer["meta"]["degraded"]
    assert "too many for me" in answer["data"]["passed_over"]["prophet"]
    assert len(answer["data"]["forecast"]) == 24


async def test_without_any_replica_the_fallback_answers(learned: House) -> None:
    await learned.within(model_ms=60.0)
    learned.directories["forecasting"].addresses.clear()
    learned.kill("forecasting")
    answer = await post(learned, BODY)
    assert answer["safety"]["fallback"]
    assert answer["data"]["next_hour_workers"] >= 1
    assert answer["data"]["basis"] == "no forecaster answered"


async def test_an_hour_that_is_over_is_an_outcome(learned: House) -> None:
    (forecasting,) = learned.replicas["forecasting"]
    table = forecasts_of(learned).table
    past = await hours(Questions.hours, 1)
    for each in past.values():  # two hours later, with three times the rate
        each["rate"] = np.append(each["rate"], [3e4, 3e4])
    service = forecasting._service
    for _ in range(2):  # another replica does the same
        pending = PendingForecasts(learned.redis, service._outcomes, service.online)
        await pending.note(table, "forecasting/ensemble")
        await pending.settle(past_of(past), table.hour + 3)
    await service.online.refresh()
    told = forecasting._service.online.records(["order-gateway", "nobody"])
    assert told[0]["outcomes"] == 1
    assert told[0]["coverage"] == 0.0
    assert told[1] is None
    answer = await post(learned, BODY)
    assert answer["interval"]["online"]["outcomes"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu", 1.5),
        ("ingest_rate", -1),
        ("horizon_hours", 0),
        ("horizon_hours", 25),
        ("model", "oracle"),
        ("p99", "fast"),
        ("calendar_events", 1.5),
        ("surprise", 1),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(house: House, field: str, value: Any) -> None:
    async with house.client() as client:
        found = await client.post(PATH, json={**BODY, field: value})
    assert found.status_code == 422
    assert list(found.json()["error"]["fields"]) == [field]


async def test_outcomes_that_the_replica_took_are_tidied(house: House) -> None:
    """Else their logs would grow for as long as the replica lives."""
    outcomes = house.replicas["forecasting"][0]._service._outcomes
    for at in range(USUAL.snapshot_after_entries):
        ask = {"decision": f"hour {at}", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 1.5}
        await outcomes.take("capacity", "auth", ask)
    state = outcomes._service.cache._residents[key_of("capacity", "auth")]
    await until(lambda: state.unsaved == 0)
