from pathlib import Path

from deployments.forecasting.loaded_models import LoadedModels, registered_name, save_with_kind
from models.forecasting.forecaster import Forecaster
from models.forecasting.seasonal_average import SeasonalAverage
from models.forecasting.seasonal_naive import SeasonalNaive
from models.registry import CHAMPION, Registry

NAME = registered_name("ensemble")


def promote(folder: Path, database: str, forecaster: Forecaster) -> None:
    """Register a forecaster in a registry, which may know nothing of what lies in the folder."""
    saved = folder / f"saved for {database}"
    saved.mkdir()
    save_with_kind(forecaster, saved)
    registry = Registry(f"sqlite:///{folder}/{database}", folder / "models")
    made = registry.register(NAME, saved, metrics={})
    registry.set_alias(NAME, CHAMPION, made.version)
    assert made.version == "1.0.0"


def test_a_new_model_under_the_same_number_is_loaded(tmp_path: Path) -> None:
    models = LoadedModels(tmp_path / "models", CHAMPION)
    promote(tmp_path, "first.db", SeasonalNaive())
    assert models.look()
    assert not models.look()
    promote(tmp_path, "after a loss.db", SeasonalAverage(seasons=2))
    assert models.look()
    assert isinstance(models.forecasters["ensemble"].model, SeasonalAverage)
    assert not models.look()
