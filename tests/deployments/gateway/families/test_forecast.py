"""Forecasts of any series, as clients see them: one process holds every stage."""

import math
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from deployments.forecasting.series import metrics
from deployments.history.client import HistoryAwayError
from deployments.history.questions import MetricSteps, Questions
from tests.deployments.house import House

PATH = "/models/forecast"
START = "2026-11-02T00:00:00Z"
Body = dict[str, Any]


class Telemetry:
    """The history actor, asked for a metric: minutes with an hour's wave, counted as read."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int | None]] = []
        self.until = 0

    async def ask(
        self, question: object, entity: str, name: str, seconds: int, step_s: int | None
    ) -> MetricSteps:
        assert question is Questions.series
        assert seconds >= 60 * 86_400
        self.asked.append((entity, name, step_s))
        if entity == "away":
            raise HistoryAwayError("The history actor is restarting: try again")
        if entity == "nobody":
            return MetricSteps(np.zeros(0, np.int64), np.zeros(0))
        step = step_s or 60
        self.until = int(time.time()) // step * step - (3600 if entity == "silent" else 0)
        return MetricSteps(self.until + step * np.arange(-600, 0), wave(600, 60))


def wave(count: int, season: int, noise: float = 0.5, seed: int = 1) -> Any:
    at = np.arange(count)
    drawn = np.random.default_rng(seed).normal(0, noise, count)
    return 40 + 10 * np.sin(2 * np.pi * at / season) + drawn


def hourly(**more: Any) -> Body:
    values = wave(336, 24).round(3).tolist()
    return {"values": values, "start": START, "frequency": "1h", "horizon": 24} | more


@pytest.fixture(autouse=True)
def telemetry(monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    found = Telemetry()
    monkeypatch.setattr(metrics, "ask", found.ask)
    return found


async def post(house: House, body: Body) -> Any:
    async with house.client() as client:
        found = await client.post(PATH, json=body)
    return found.status_code, found.json()


@pytest.mark.asyncio(loop_scope="class")
class TestForecasts:
    async def test_a_season_goes_on(self, shared_house: House) -> None:
        code, answer = await post(shared_house, hourly(levels=[0.95, 0.5]))
        assert code == 200, answer
        data = answer["data"]
        assert len(data["forecast"]) == 24
        truth = 40 + 10 * np.sin(2 * np.pi * np.arange(24) / 24)
        said = np.array([step["value"] for step in data["forecast"]])
        assert np.abs(said - truth).mean() < 1
        first, last = data["forecast"][0], data["forecast"][-1]
        assert (first["ts"], last["ts"]) == ("2026-11-16T00:00:00Z", "2026-11-16T23:00:00Z")
        for step in data["forecast"]:
            inner, outer = step["intervals"]
            assert (inner["level"], outer["level"]) == (0.5, 0.95)
            assert outer["lower"] <= inner["lower"] <= step["value"]
            assert step["value"] <= inner["upper"] <= outer["upper"]
        assert answer["interval"] == {
            "lower": first["intervals"][1]["lower"],
            "upper": first["intervals"][1]["upper"],
            "level": 0.95,
            "method": "rolling-origin-conformal",
        }
        assert 24 in data["seasons"]
        assert sum(data["weights"].values()) == pytest.approx(1)
        assert [each["level"] for each in data["coverage_so_far"]] == [0.5, 0.95]
        assert data["coverage_so_far"][1]["coverage"] > 0.8
        assert not answer["meta"]["degraded"]

    async def test_alone_and_among_others_the_bits_are_the_same(self, shared_house: House) -> None:
        rows = [hourly(values=wave(200 + 31 * n, 24, seed=n).tolist()) for n in range(6)]
        rows.append({"values": [1.0, 2.0, 4.0], "frequency": "1d", "horizon": 3})
        _, together = await post(shared_house, {"rows": rows})
        for row, answer in zip(rows, together, strict=True):
            _, alone = await post(shared_house, row)
            assert alone["data"] == answer["data"]

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    async def test_any_sign(self, shared_house: House, sign: float) -> None:
        values = (sign * wave(100, 7)).tolist()
        code, answer = await post(
            shared_house, {"values": values, "start": START, "frequency": "1d", "horizon": 7}
        )
        assert code == 200
        assert all(sign * step["value"] > 0 for step in answer["data"]["forecast"])

    async def test_missing_values_and_times_left_out_are_the_same(
        self, shared_house: House
    ) -> None:
        body = hourly()
        epoch = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
        gaps = {5, 100, 101, 102, 300}
        with_nulls = [None if at in gaps else each for at, each in enumerate(body["values"])]
        left = [(epoch + 3600 * at, each) for at, each in enumerate(with_nulls) if each is not None]
        timed = {
            "values": [value for _, value in left],
            "ts": [when for when, _ in left],
            "horizon": 24,
        }
        _, one = await post(shared_house, body | {"values": with_nulls})
        _, other = await post(shared_house, timed)
        assert one["data"] == other["data"]

    async def test_without_a_start_there_are_no_times(self, shared_house: House) -> None:
        body = {"values": wave(60, 7).tolist(), "frequency": "1d", "horizon": 2}
        _, answer = await post(shared_house, body)
        assert [step["ts"] for step in answer["data"]["forecast"]] == [None, None]

    async def test_months_are_the_calendars(self, shared_house: House) -> None:
        body = {
            "values": wave(48, 12).tolist(),
            "frequency": "1mo",
            "start": "2022-01-31T00:00:00Z",
        }
        _, answer = await post(shared_house, body | {"horizon": 3})
        times = [step["ts"][:10] for step in answer["data"]["forecast"]]
        assert times == ["2026-01-31", "2026-02-28", "2026-03-31"]

    @pytest.mark.parametrize("values", [[7.0], [7.0, None, 9.0], [3.0] * 40])
    async def test_where_nothing_is_claimed_it_says_why(
        self, shared_house: House, values: list[float | None]
    ) -> None:
        body = {"values": values, "frequency": "1d", "horizon": 2}
        code, answer = await post(shared_house, body)
        assert code == 200
        assert answer["interval"] is None
        assert answer["data"]["interval_reason"]
        assert answer["data"]["coverage_so_far"] is None
        assert answer["data"]["coverage_reason"]
        steps = answer["data"]["forecast"]
        assert [step["value"] for step in steps] == pytest.approx([values[-1]] * 2)
        assert [step["intervals"] for step in steps] == [[], []]

    async def test_a_holiday_to_come_is_as_those_before(self, shared_house: House) -> None:
        values = (100 + wave(120, 7)).tolist()
        days = [np.datetime64("2026-01-01") + at for at in (20, 60, 95, 121)]
        for at in (20, 60, 95):
            values[at] *= 0.5
        body = {"values": values, "start": "2026-01-01T00:00:00Z", "frequency": "1d", "horizon": 3}
        _, answer = await post(shared_house, body | {"holidays": [str(day) for day in days]})
        _, usual = await post(shared_house, body | {"horizon": 3})
        said = [step["value"] for step in answer["data"]["forecast"]]
        assert said[1] < 0.8 * min(said[0], said[2])
        assert usual["data"]["forecast"][1]["value"] > 100

    async def test_one_method_alone(self, shared_house: House) -> None:
        _, answer = await post(shared_house, hourly(model="seasonal_naive"))
        assert answer["data"]["model"] == "seasonal_naive"
        assert all(name.startswith("seasonal_naive") for name in answer["data"]["weights"])


@pytest.mark.asyncio(loop_scope="class")
class TestMetrics:
    async def test_a_metric_is_read_once_while_it_is_fresh(
        self, shared_house: House, telemetry: Telemetry
    ) -> None:
        row = {"entity": "auth", "metric": "p99_ms", "horizon": 5}
        rows = [row, row, row | {"frequency": "1h"}]
        for _ in range(2):
            code, answers = await post(shared_house, {"rows": rows})
            assert code == 200
            assert all(len(each["data"]["forecast"]) == 5 for each in answers)
        assert sorted(telemetry.asked, key=str) == [
            ("auth", "p99_ms", 3600),
            ("auth", "p99_ms", None),
        ]
        first = datetime.fromisoformat(answers[2]["data"]["forecast"][0]["ts"])
        assert 0 <= time.time() - first.timestamp() < 2 * 3600

    @pytest.mark.parametrize("entity", ["auth", "silent"])
    async def test_no_step_of_the_past_is_forecast(self, shared_house: House, entity: str) -> None:
        _, answer = await post(shared_house, {"entity": entity, "metric": "cpu", "horizon": 3})
        first = datetime.fromisoformat(answer["data"]["forecast"][0]["ts"])
        assert 0 <= time.time() - first.timestamp() < 120
        aged = [note for note in answer["data"]["notes"] if "missing at the end" in note]
        assert bool(aged) == (entity == "silent") or "1 of them" in aged[0]

    async def test_an_entity_without_telemetry_is_refused_in_words(
        self, shared_house: House
    ) -> None:
        code, answer = await post(shared_house, {"entity": "nobody", "metric": "p99_ms"})
        assert code == 422
        assert list(answer["error"]["fields"]) == ["metric"]

    async def test_what_cannot_be_read_holds_up_no_other_row(self, shared_house: House) -> None:
        rows = [{"entity": "away", "metric": "cpu"}, hourly(), {"entity": "a", "metric": "cpu"}]
        code, answers = await post(shared_house, {"rows": rows})
        assert code == 200
        assert ["error" in each for each in answers] == [True, False, False]
        assert answers[0]["error"]["code"] == "unavailable"


@pytest.mark.asyncio(loop_scope="class")
class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "body"),
            ({"values": [1.0]}, "body"),
            ({"values": [1.0], "metric": "cpu"}, "body"),
            ({"metric": "ssn"}, "metric"),
            ({"metric": "cpu", "start": START}, "body"),
            ({"metric": "cpu", "frequency": "1mo"}, "body"),
            ({"values": [1.0], "frequency": "3y"}, "frequency"),
            ({"values": [1.0], "frequency": "1s"}, "frequency"),
            ({"values": [1.0], "frequency": "2mo"}, "frequency"),
            ({"values": [1.0, 2.0], "ts": [60]}, "body"),
            ({"values": [1.0, 2.0], "ts": [60, 60]}, "body"),
            ({"values": [1.0, 2.0], "ts": [0, 1]}, "ts"),
            ({"values": [1.0, 2.0, 3.0, 4.0], "ts": [0, 60, 150, 210]}, "ts"),
            ({"values": [None, None], "frequency": "1m"}, "values"),
            ({"values": [1.0], "frequency": "1m", "horizon": 501}, "horizon"),
            ({"values": [1.0, -1.0], "frequency": "1m", "least": 0}, "body"),
            ({"metric": "cpu", "least": 0}, "body"),
            ({"values": [1.0], "frequency": "1m", "levels": [1.0]}, "levels.0"),
            ({"values": [1.0], "frequency": "1m", "holidays": ["25.12."]}, "holidays.0"),
        ],
    )
    async def test_what_does_not_fit_is_refused_by_name(
        self, shared_house: House, body: Body, field: str
    ) -> None:
        code, answer = await post(shared_house, body)
        assert (code, list(answer["error"]["fields"])) == (422, [field]), answer


async def test_without_the_model_the_last_value_is_repeated(house: House) -> None:
    await house.within(model_ms=60.0)
    house.directories["forecasting"].addresses.clear()
    house.kill("forecasting")
    code, answer = await post(house, hourly())
    assert code == 200
    assert answer["safety"]["fallback"]
    assert answer["meta"]["degraded"]
    steps = answer["data"]["forecast"]
    last = hourly()["values"][-1]
    assert [step["value"] for step in steps] == [last] * 24
    near, far = steps[0]["intervals"][1], steps[-1]["intervals"][1]
    assert far["upper"] - last == pytest.approx(math.sqrt(24) * (near["upper"] - last))
    code, answer = await post(house, {"entity": "auth", "metric": "cpu"})
    assert (code, answer["data"]["forecast"], answer["interval"]) == (200, [], None)
