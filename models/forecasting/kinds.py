"""Which class reads which saved forecaster: a table, so that no name in a file is imported."""

from importlib import import_module
from pathlib import Path
from typing import cast

from models.errors import ArtifactError
from models.forecasting.forecaster import Forecaster

# A forecaster's kind is its name, unless it says other. A module is imported when first met, since
# some bring PyTorch with them.
KINDS = {
    "prophet": ("models.forecasting.prophet", "ProphetForecaster"),
    "seasonal_naive": ("models.forecasting.seasonal_naive", "SeasonalNaive"),
    "seasonal_average": ("models.forecasting.seasonal_average", "SeasonalAverage"),
    "harmonic": ("models.forecasting.harmonic", "HarmonicForecaster"),
    "lag_regression": ("models.forecasting.lag_regression", "LagRegression"),
    "log_scale": ("models.forecasting.log_scale", "LogScale"),
    "ensemble": ("models.forecasting.ensemble", "EnsembleForecaster"),
    "tft": ("models.forecasting.neural.tft", "TemporalFusionTransformer"),
    "nbeats": ("models.forecasting.neural.nbeats", "NBeats"),
}


def kind_of(forecaster: Forecaster) -> str:
    return str(getattr(forecaster, "kind", forecaster.name))


def load_member(kind: str, folder: Path) -> Forecaster:
    """Load a forecaster of a kind; ArtifactError when there is none such."""
    if kind not in KINDS:
        raise ArtifactError(f"{folder} holds a {kind!r}; the known kinds are: {', '.join(KINDS)}")
    module, name = KINDS[kind]
    return cast("Forecaster", getattr(import_module(module), name).load(folder))
