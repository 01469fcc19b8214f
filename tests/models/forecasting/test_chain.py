"""The first that answers, row by row, and why the others did not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from models.forecasting.answers import Answer, stacked
from models.forecasting.chain import NO_ANSWER, Chain, chain_of
from models.forecasting.forecaster import Forecast, HourlySeries
from models.forecasting.seasonal_naive import SeasonalNaive
from tests.models.forecasting.forecasters import HORIZON, hourly

EMPTY = HourlySeries("new", 0, np.zeros(0), np.zeros((HORIZON, 0)), ())


class Knows:
    """Says one number for the entities it knows, and throws for those it hates."""

    def __init__(self, name: str, entities: Sequence[str], hates: str = "") -> None:
        self.name = name
        self.entities = entities
        self.hates = hates
        self.asked: list[int] = []

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        self.asked.append(len(series))
        if any(each.entity == self.hates for each in series):
            raise RuntimeError(f"cannot bear {self.hates}")
        one = np.full(horizon, 1.0)
        known = [each.entity in self.entities for each in series]
        return stacked([Answer(one, one, one) if each else None for each in known], horizon, 0.9)

    def save(self, folder: Path) -> None:
        document = {"name": self.name, "entities": list(self.entities), "hates": self.hates}
        (folder / "knows.json").write_text(json.dumps(document))

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(**json.loads((folder / "knows.json").read_text()))


def test_each_row_gets_the_first_that_answers() -> None:
    chain = Chain([Knows("tft", "a"), Knows("nbeats", "ab"), SeasonalNaive()], {})
    said = chain.forecast([hourly("a", 9), hourly("b", 9), hourly("c", 9), EMPTY], HORIZON)
    assert said.answered_by == ("tft", "nbeats", "seasonal_naive", "seasonal_naive")
    assert said.passed_over[0] == {}
    assert said.passed_over[2] == {"tft": NO_ANSWER, "nbeats": NO_ANSWER}
    assert np.isfinite(said.forecast.point).all()
    assert said.forecast.basis[3].startswith("no history at all")


def test_one_that_throws_is_passed_over_for_the_row_it_throws_at() -> None:
    chain = Chain([Knows("tft", "ab", hates="b"), SeasonalNaive()], {})
    said = chain.forecast([hourly("a", 9), hourly("b", 9)], HORIZON)
    assert said.answered_by == ("tft", "seasonal_naive")
    assert said.passed_over[1] == {"tft": "RuntimeError: cannot bear b"}


def test_later_members_are_asked_only_for_open_rows() -> None:
    second = Knows("nbeats", "ab")
    Chain([Knows("tft", "a"), second], {}).forecast([hourly("a", 9), hourly("b", 9)], HORIZON)
    assert second.asked == [1]


def test_a_wrong_shape_is_no_answer() -> None:
    class Short(Knows):
        def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
            return super().forecast(series, horizon - 1)

    said = Chain([Short("tft", "a"), SeasonalNaive()], {}).forecast([hourly("a", 9)], HORIZON)
    assert said.answered_by == ("seasonal_naive",)
    assert "shape" in said.passed_over[0]["tft"]


def test_the_chain_answers_when_everything_is_missing() -> None:
    chain = chain_of({}, {"tft": "it is still training"})
    said = chain.forecast([hourly("a", 9), EMPTY], HORIZON)
    assert said.answered_by == ("seasonal_naive", "seasonal_naive")
    assert list(said.passed_over[0].items()) == [
        ("tft", "it is still training"),
        ("nbeats", "it is not loaded"),
        ("prophet", "it is not loaded"),
    ]


def test_a_chain_begins_where_it_is_told() -> None:
    own = {"prophet": Knows("prophet", "a"), "ensemble": Knows("ensemble", "b")}
    assert chain_of(own, {}, "prophet").members[0] is own["prophet"]
    whole = chain_of(own, {}, "ensemble")
    assert [each.name for each in whole.members] == ["ensemble", "prophet", "seasonal_naive"]
    assert list(whole.absent) == ["tft", "nbeats"]


def test_drivers_go_with_their_row() -> None:
    class Explains(Knows):
        def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
            one, none = np.ones(horizon), np.zeros(horizon)
            parts = {"trend": one, "seasonality": none, "holidays": none}
            known = [each.entity in self.entities for each in series]
            rows = [Answer(one, one, one, parts) if each else None for each in known]
            return stacked(rows, horizon, 0.9)

    chain = Chain([Explains("prophet", "a"), SeasonalNaive()], {})
    said = chain.forecast([hourly("a", 9), hourly("b", 9)], HORIZON).forecast
    assert (said.drivers["trend"][0] == 1).all()
    assert np.isnan(said.drivers["trend"][1]).all()
