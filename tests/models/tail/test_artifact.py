from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from models.errors import ArtifactError
from models.tail.xgboost_quantile import TailModel


@pytest.fixture
def folder(trained: Any, tmp_path: Path) -> Path:
    trained.model.save(tmp_path / "tail")
    return tmp_path / "tail"


def edit(folder: Path, **changes: Any) -> None:
    meta = folder / "meta.json"
    meta.write_bytes(orjson.dumps(orjson.loads(meta.read_bytes()) | changes))


def test_a_model_is_two_files_without_pickle(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == ["booster.ubj", "meta.json"]


@pytest.mark.parametrize("file", ["booster.ubj", "meta.json"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ArtifactError, match=f"no readable tail model.*{file}"):
        TailModel.load(folder)


def test_another_booster_is_refused(folder: Path) -> None:
    trees = bytearray((folder / "booster.ubj").read_bytes())
    trees[len(trees) // 2] ^= 1
    (folder / "booster.ubj").write_bytes(trees)
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        TailModel.load(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 99}, "has format 99, but this release reads 1 and 2"),
        ({"inputs": ["load"]}, "has inputs"),
        ({"levels": [0.5]}, "has levels"),
        ({"meta": {}}, "no readable tail model"),
        ({"meta": None}, "no readable tail model"),
    ],
)
def test_another_format_is_refused(folder: Path, changes: dict[str, Any], reason: str) -> None:
    edit(folder, **changes)
    with pytest.raises(ArtifactError, match=reason):
        TailModel.load(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff"])
def test_a_damaged_description_is_refused(folder: Path, text: bytes) -> None:
    (folder / "meta.json").write_bytes(text)
    with pytest.raises(ArtifactError, match="no readable tail model"):
        TailModel.load(folder)


def test_a_model_of_the_earlier_format_answers_as_before(
    trained: Any, ask: Any, folder: Path
) -> None:
    """Its description lacks what format 2 added."""
    described = orjson.loads((folder / "meta.json").read_bytes())
    added: tuple[str, ...] = ("input_usual", "input_usual_low", "input_usual_high", "input_missing")
    added = (*added, "cadence_seconds", "target", "history_hours")
    meta = {name: each for name, each in described["meta"].items() if name not in added}
    edit(folder, format=1, meta=meta)
    loaded, rows = TailModel.load(folder), ask(50, 3)
    ours, theirs = trained.model.predict(rows), loaded.predict(rows)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert loaded.meta.target == "exemplars"
    # What lacks may have been anything that it was trained on.
    without = loaded.predict(rows | {"infra": np.full(50, np.nan)})
    assert np.isfinite(without["upper"]).all()
    assert (without["upper"] >= without["p95_pred"]).all()
