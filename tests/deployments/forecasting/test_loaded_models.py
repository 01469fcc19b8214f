import shutil
from pathlib import Path

import pytest

from config_store.document import ConfigDocument
from config_store.pinning import pinned
from config_store.shipped import default_document
from deployments.forecasting.loaded_models import (
    LoadedModels,
    chosen_by,
    registered_name,
    save_with_kind,
)
from models.forecasting.forecaster import Forecaster
from models.forecasting.seasonal_average import SeasonalAverage
from models.forecasting.seasonal_naive import SeasonalNaive
from models.registry import CHAMPION, Registry

NAME = registered_name("ensemble")


def promote(folder: Path, database: str, forecaster: Forecaster) -> str:
    """Register a forecaster in a registry, which may know nothing of what lies in the folder."""
    saved = folder / f"saved for {database}"
    shutil.rmtree(saved, ignore_errors=True)
    saved.mkdir()
    save_with_kind(forecaster, saved)
    registry = Registry(f"sqlite:///{folder}/{database}", folder / "models")
    made = registry.register(NAME, saved, metrics={})
    registry.set_alias(NAME, CHAMPION, made.version)
    return made.version


def test_a_new_model_under_the_same_number_is_loaded(tmp_path: Path) -> None:
    models = LoadedModels(tmp_path / "models", CHAMPION)
    assert promote(tmp_path, "first.db", SeasonalNaive()) == "1.0.0"
    assert models.look()
    assert not models.look()
    for record in (tmp_path / "models").glob("*/1.0.0.json"):
        record.unlink()  # as an earlier release left it
    assert promote(tmp_path, "after a loss.db", SeasonalAverage(seasons=2)) == "1.0.0"
    assert models.look()
    assert isinstance(models.forecasters["ensemble"].model, SeasonalAverage)
    assert not models.look()


@pytest.fixture
def document(tmp_path: Path) -> ConfigDocument:
    """Give one that pins an ensemble, whose alias has moved on since."""
    promote(tmp_path, "mlflow.db", SeasonalNaive())
    document = pinned(default_document(), tmp_path / "models")
    assert promote(tmp_path, "mlflow.db", SeasonalAverage(seasons=2)) == "1.1.0"
    return document


def test_what_is_pinned_is_loaded_wherever_the_alias_moves_and_once_for_all(
    tmp_path: Path, document: ConfigDocument
) -> None:
    there: list[LoadedModels] = []
    models = LoadedModels(tmp_path / "models", chosen_by(document), lambda: there)
    assert models.look()
    there.append(models)
    assert models.version_of("ensemble") == "1.0.0"
    assert isinstance(models.forecasters["ensemble"].model, SeasonalNaive)
    newer = pinned(document.model_copy(update={"models": {}}), tmp_path / "models")
    later = LoadedModels(tmp_path / "models", chosen_by(newer), lambda: there)
    assert later.look()
    assert later.version_of("ensemble") == "1.1.0"
    # No file is needed any more, and no other choice of the same model loads it again.
    shutil.rmtree(tmp_path / "models")
    assert not models.look()
    assert models.version_of("ensemble") == "1.0.0"
    assert models.lacking() == []


def test_what_is_pinned_and_no_more_what_it_was_is_lacking(
    tmp_path: Path, document: ConfigDocument
) -> None:
    models = LoadedModels(tmp_path / "models", chosen_by(document))
    (kind,) = (tmp_path / "models").glob("*/1.0.0/kind")
    before = kind.read_text()
    kind.write_text("another")
    models.look()
    assert models.lacking() == [NAME]
    assert models.missing["ensemble"] == "it cannot be loaded: UnknownModelError"
    kind.write_text(before)
    assert models.look()
    assert models.lacking() == []


def test_a_version_that_pins_no_model_has_none_and_an_older_one_follows_its_alias(
    tmp_path: Path, document: ConfigDocument
) -> None:
    nothing = document.model_copy(update={"models": {}})
    assert not LoadedModels(tmp_path / "models", chosen_by(nothing)).look()
    older = document.model_copy(update={"models": None})
    followed = LoadedModels(tmp_path / "models", chosen_by(older))
    assert followed.look()
    assert followed.version_of("ensemble") == "1.1.0"
