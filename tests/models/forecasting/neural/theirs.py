"""The same trained networks, asked by pytorch-forecasting itself: its data sets, its loaders."""

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.forecasting.forecaster import HOUR, HourlySeries
from models.forecasting.neural import frames
from models.forecasting.neural.calibration import trained_on
from models.forecasting.neural.libraries import Libraries
from models.forecasting.neural.networks import Plan, nbeats_network, tft_network
from models.forecasting.neural.tft_inputs import column
from models.forecasting.neural.training import Trained

AHEAD = 24


def table(series: Sequence[HourlySeries], known: Sequence[str], past: int) -> pd.DataFrame:
    """Lay out the latest hours and those to come, whose values nobody is to look at."""
    # The groups bear the names of those trained on: pytorch-forecasting takes no others.
    rows = [_rows(each, str(place), known, past) for place, each in enumerate(series)]
    return pd.concat(rows, ignore_index=True)


def _rows(series: HourlySeries, group: str, known: Sequence[str], past: int) -> pd.DataFrame:
    count = len(series.values)
    first = max(count - past, 0)
    turn = 2 * np.pi * (series.start // HOUR + np.arange(first, count + AHEAD))
    past_values = series.values[first:]  # noqa: PD011  no table of pandas
    values = np.concatenate([past_values, np.zeros(AHEAD)])
    rows = {"group": group, "hour": np.arange(values.size), "weight": 1.0}
    rows |= {"y": values.astype(np.float32)}
    spread = np.std(past_values, ddof=1) + np.finfo(np.float16).eps
    rows |= {"swing": spread / np.abs(past_values).mean()}
    rows |= {"lean": (np.median(past_values) - past_values.mean()) / spread}
    for name, period in (("day", 24), ("week", 168)):
        rows |= {f"{name}_sin": np.sin(turn / period), f"{name}_cos": np.cos(turn / period)}
    for place, name in enumerate(known):
        rows[column(place)] = series.known[first : count + AHEAD, series.names.index(name)]
    return pd.DataFrame(rows)


def tft_raw(
    modules: Libraries, trained: Trained, plan: Plan, history: Sequence[HourlySeries]
) -> tuple[Any, Any]:
    """Build the network and its training data anew, and give it the trained weights."""
    data = frames.tft_data(modules, trained_on(history), trained.tft.layout.known)
    return _with_weights(modules, tft_network(modules, data, plan), trained.tft.weights), data


def nbeats_raw(
    modules: Libraries, trained: Trained, plan: Plan, history: Sequence[HourlySeries]
) -> tuple[Any, Any]:
    data = frames.nbeats_data(modules, trained_on(history))
    return _with_weights(modules, nbeats_network(modules, data, plan), trained.nbeats.weights), data


def ask(modules: Libraries, network: Any, data: Any, rows: pd.DataFrame, **more: Any) -> Any:
    """Ask the network's own `predict` for the last 24 hours of each group."""
    # A copy: `predict` leaves its callback in what it is given, and answers nothing the next time.
    return network.predict(_asking(modules, data, rows), **more, trainer_kwargs=dict(_TRAINER))


_TRAINER = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "default_root_dir": tempfile.gettempdir(),
}


def _asking(modules: Libraries, data: Any, rows: pd.DataFrame) -> Any:
    normalizer = data.target_normalizer
    if isinstance(normalizer, modules.group_normalizer):
        past = rows[rows.groupby("group").cumcount(ascending=False) >= AHEAD]
        # It looks groups up by their codes, which are their numbers here.
        coded = past.assign(group=past["group"].astype(int))
        normalizer = modules.group_normalizer(groups=["group"]).fit(coded["y"], coded)
    return modules.data_set.from_dataset(
        data, rows, predict=True, stop_randomization=True, target_normalizer=normalizer
    )


def _with_weights(modules: Libraries, network: Any, weights: Any) -> Any:
    state = {name: modules.torch.from_numpy(each).float() for name, each in weights.items()}
    network.load_state_dict(state)
    return network.eval()
