from typing import Any

import numpy as np
import pytest

from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from deployments.tail.extremes import metrics
from tests.deployments.house import House
from tests.waiting import PATIENCE_SECONDS

PATH = "/models/extreme-events"
Body = dict[str, Any]
# A process of its own begins, and compiles what no process of this clone has compiled before.
A_START = {"request_ms": 2000 * PATIENCE_SECONDS, "model_ms": 1000 * PATIENCE_SECONDS}
BLOCKS: Body = {"method": "block_maxima", "block": 20}


class Telemetry:
    """The history actor, asked for a metric: heavy-tailed minutes, counted as they are read."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def ask(self, question: object, entity: str, name: str, minutes: int) -> Any:
        assert question is Questions.metric
        self.asked.append((entity, name))
        if entity == "away":
            raise HistoryAwayError("The history actor is restarting: try again")
        if entity == "nobody":
            return np.zeros(0)
        return 10 + np.random.default_rng(1).pareto(4, minutes)


@pytest.fixture(autouse=True)
def telemetry(monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    found = Telemetry()
    monkeypatch.setattr(metrics, "ask", found.ask)
    return found


async def post(house: House, body: Body) -> Any:
    async with house.client() as client:
        found = await client.post(PATH, json=body)
    return found.status_code, found.json()


def heavy(n: int = 2000, seed: int = 3) -> list[float]:
    found: list[float] = np.random.default_rng(seed).pareto(3, n).tolist()
    return found


async def test_a_heavy_tail_is_answered_whole(house: House) -> None:
    code, answer = await post(house, {"values": heavy(), "value": 30.0})
    assert code == 200
    data = answer["data"]
    assert data["is_extreme"]
    assert data["exceedance_probability"] == pytest.approx((1 + 30) ** -3, rel=1.5)
    assert data["shape_interval"]["lower"] < 1 / 3 < data["shape_interval"]["upper"]
    assert [each["level"] for each in data["var"]] == [0.99, 0.999]
    truth = 0.01 ** (-1 / 3) - 1
    assert data["var"][0]["lower"] < truth < data["var"][0]["upper"]
    assert data["cvar"][0]["value"] > data["var"][0]["value"]
    assert [each["period"] for each in data["return_levels"]] == [100, 1000]
    assert answer["interval"] == {
        "lower": data["var"][0]["lower"],
        "upper": data["var"][0]["upper"],
        "level": 0.95,
        "method": "profile-likelihood",
    }


async def test_a_metric_is_read_once_and_kept(house: House, telemetry: Telemetry) -> None:
    rows = [{"entity": "auth", "metric": "p99_ms"}] * 3 + [{"entity": "auth", "metric": "cpu"}]
    for _ in range(2):
        code, answers = await post(house, {"rows": rows})
        assert code == 200
        assert all(each["data"]["exceedances"] > 100 for each in answers)
    assert sorted(telemetry.asked) == [("auth", "cpu"), ("auth", "p99_ms")]


async def test_alone_and_among_others_the_bits_are_the_same(house: House) -> None:
    rows = [{"values": heavy(600 + 37 * n, n), "confidence": 0.9} for n in range(12)]
    _, together = await post(house, {"rows": rows})
    for row, answer in zip(rows, together, strict=True):
        _, alone = await post(house, row)
        assert alone["data"] == answer["data"]


@pytest.mark.asyncio(loop_scope="class")
class TestRefusals:
    """What is refused changes nothing for whoever asks next."""

    @pytest.mark.parametrize(
        "values",
        [[1.0], [7.0] * 500, [1.0, 2.0, 3.0], [1e308, -1e308] * 40, [0.0] * 90 + [1e90] * 2],
    )
    async def test_what_cannot_be_fitted_is_refused_in_words(
        self, shared_house: House, values: list[float]
    ) -> None:
        code, answer = await post(shared_house, {"values": values})
        assert code == 422
        assert len(answer["error"]["fields"]["values"]) > 20

    async def test_an_entity_without_telemetry_is_refused_in_words(
        self, shared_house: House
    ) -> None:
        code, answer = await post(shared_house, {"entity": "nobody", "metric": "p99_ms"})
        assert code == 422
        assert list(answer["error"]["fields"]) == ["metric"]

    async def test_telemetry_that_cannot_be_read_is_asked_for_again_later(
        self, shared_house: House
    ) -> None:
        async with shared_house.client() as client:
            found = await client.post(PATH, json={"entity": "away", "metric": "p99_ms"})
        assert (found.status_code, found.json()["error"]["code"]) == (503, "unavailable")
        assert int(found.headers["Retry-After"]) > 0
        assert "telemetry" in found.json()["error"]["message"]

    async def test_what_cannot_be_read_holds_up_no_other_row(self, shared_house: House) -> None:
        away = {"entity": "away", "metric": "p99_ms"}
        rows = [away, {"values": heavy()}, {"entity": "auth", "metric": "cpu"}, away]
        code, answers = await post(shared_house, {"rows": rows})
        assert code == 200
        assert ["error" in each for each in answers] == [True, False, False, True]

    @pytest.mark.parametrize("wrong", [{"metric": "ssn"}, {"metric": "cpu", "block": 60}])
    async def test_a_wrong_request_is_refused_as_such_where_nothing_can_be_read(
        self, shared_house: House, telemetry: Telemetry, wrong: Body
    ) -> None:
        code, _ = await post(shared_house, {"entity": "away"} | wrong)
        assert code == 422
        assert "away" not in {entity for entity, _ in telemetry.asked}

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "body"),
            ({"values": [1.0], "metric": "cpu"}, "body"),
            ({"values": []}, "values"),
            ({"metric": "ssn"}, "metric"),
            ({"values": [1.0], "threshold_quantile": 1.0}, "threshold_quantile"),
            ({"values": [1.0], "return_periods": [0.5]}, "return_periods.0"),
            ({"values": [1.0], "method": "block_maxima"}, "body"),
            ({"values": [1.0], "block": 60}, "body"),
            ({"values": [1.0], "method": "block_maxima", "block": 1}, "block"),
            (BLOCKS | {"values": [1.0], "threshold_quantile": None}, "body"),
            (BLOCKS | {"values": [1.0], "dependent": True}, "body"),
        ],
    )
    async def test_what_does_not_fit_is_refused_by_name(
        self, shared_house: House, body: Body, field: str
    ) -> None:
        code, answer = await post(shared_house, body)
        assert (code, list(answer["error"]["fields"])) == (422, [field])


async def test_without_the_model_the_values_own_quantiles_answer(house: House) -> None:
    await house.within(model_ms=60.0)
    house.directories["tail"].addresses.clear()
    house.kill("tail")
    code, answer = await post(house, {"values": heavy()})
    assert code == 200
    assert answer["safety"]["fallback"]
    assert answer["meta"]["degraded"]
    assert answer["data"]["threshold"] == pytest.approx(np.quantile(heavy(), 0.95), rel=0.02)


async def test_block_maxima_say_what_a_block_reaches(house: House) -> None:
    await house.within(**A_START)
    values = heavy(4000)
    code, answer = await post(house, BLOCKS | {"values": values, "value": 30.0})
    assert code == 200
    data = answer["data"]
    assert (data["blocks"], answer["meta"]["model"]) == (200, "tail/block-maxima")
    assert data["is_extreme"]
    assert data["exceedance_probability"] == pytest.approx(20 * (1 + 30) ** -3, rel=1.5)
    truth = (1 - 0.99 ** (1 / 20)) ** (-1 / 3) - 1
    (level, _) = data["return_levels"]
    assert level["lower"] < truth < level["upper"]
    assert data["var"][0] == {"level": 0.99} | {k: level[k] for k in ("value", "lower", "upper")}
    assert answer["interval"] == {
        "lower": level["lower"],
        "upper": level["upper"],
        "level": 0.95,
        "method": "profile-likelihood",
    }
    both = {"rows": [BLOCKS | {"values": values, "value": 30.0}, {"values": values}]}
    _, (again, of_peaks) = await post(house, both)
    assert again["data"] == data
    assert (of_peaks["data"]["blocks"], of_peaks["meta"]["model"]) == (
        None,
        "tail/peaks-over-threshold",
    )


@pytest.mark.asyncio(loop_scope="class")
class TestRefusedBlocks:
    """One process beside the replica is started for all of them."""

    @pytest.mark.parametrize(
        "values",
        [
            [1.0, 2.0] * 10,
            [7.0] * 500,
            [1e308, -1e308] * 400,
            [0.0] * 900 + [1e90] * 2,
            [float(at % 2) for at in range(900)],
        ],
    )
    async def test_blocks_that_cannot_be_fitted_are_refused_in_words(
        self, shared_house: House, values: list[float]
    ) -> None:
        await shared_house.within(**A_START)
        code, answer = await post(shared_house, BLOCKS | {"values": values})
        assert code == 422
        assert len(answer["error"]["fields"]["values"]) > 20
