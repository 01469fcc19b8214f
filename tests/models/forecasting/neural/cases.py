"""The networks for the contract that every forecaster is tested on: small, and trained briefly."""

from collections.abc import Sequence
from dataclasses import replace

from models.forecasting.forecaster import Forecaster, HourlySeries
from models.forecasting.neural.libraries import libraries
from models.forecasting.neural.networks import NBEATS_PLAN, TFT_PLAN
from models.forecasting.neural.training import alone, train_nbeats, train_tft, usable

_NBEATS = replace(NBEATS_PLAN, width=32, steps=60, batch=32, windows=200, rate=0.005)
_TFT = replace(TFT_PLAN, width=8, steps=30, batch=16, windows=150, rate=0.03)


def nbeats(series: Sequence[HourlySeries], seed: int) -> Forecaster:
    modules = libraries()
    with alone(modules, seed, 1):
        return train_nbeats(modules, usable(series), seed, _NBEATS, _NBEATS.steps, _silent)


def tft(series: Sequence[HourlySeries], seed: int) -> Forecaster:
    modules = libraries()
    with alone(modules, seed, 1):
        return train_tft(modules, usable(series), seed, _TFT, _TFT.steps, _silent)


def _silent(_: float) -> None:
    """Nobody waits for it."""
