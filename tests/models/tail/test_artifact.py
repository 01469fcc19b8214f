from pathlib import Path
from typing import Any

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
        ({"format": 99}, "has format 99, but this release reads 1"),
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
