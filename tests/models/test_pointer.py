from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from models.errors import ArtifactError, InvalidNameError
from models.model_version import ModelVersion
from models.pointer import (
    find_version,
    keep_record,
    read_pointer,
    recorded,
    write_pointer,
)

NAME = "tail/xgboost-quantile"


def version(folder: Path) -> ModelVersion:
    return ModelVersion(
        name=NAME,
        version="1.2.0",
        path=folder / "tail.xgboost-quantile" / "1.2.0",
        created=datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC),
        aliases=("champion",),
        metrics={"coverage": 0.9004},
        tags={"seed": "1"},
    )


def written(folder: Path) -> Path:
    (folder / "tail.xgboost-quantile").mkdir(parents=True)
    write_pointer(folder, "champion", version(folder))
    return folder


def test_a_pointer_reads_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_pointer(written(tmp_path), NAME, "champion") == version(tmp_path)


def test_an_alias_that_was_never_set_has_no_pointer(tmp_path: Path) -> None:
    assert read_pointer(written(tmp_path), NAME, "challenger") is None


def test_the_folder_may_be_mounted_elsewhere(tmp_path: Path) -> None:
    moved = written(tmp_path / "here").rename(tmp_path / "there")
    found = read_pointer(moved, NAME, "champion")
    assert found == replace(version(moved))


def test_writing_leaves_nothing_but_the_pointer(tmp_path: Path) -> None:
    files = [file.name for file in (written(tmp_path) / "tail.xgboost-quantile").iterdir()]
    assert files == ["champion.json"]


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"version": "1.0.0", "created": 3}'])
def test_a_damaged_pointer_says_so(tmp_path: Path, damage: bytes) -> None:
    (written(tmp_path) / "tail.xgboost-quantile" / "champion.json").write_bytes(damage)
    with pytest.raises(ArtifactError, match=r"champion\.json is damaged"):
        read_pointer(tmp_path, NAME, "champion")


def test_an_earlier_release_reads_what_this_one_wrote(tmp_path: Path) -> None:
    """It takes these fields and no other."""
    folder = tmp_path / "tail.xgboost-quantile"
    folder.mkdir()
    write_pointer(tmp_path, "champion", replace(version(tmp_path), digest="abc"))
    fields = {"name", "version", "path", "created", "aliases", "metrics", "tags"}
    assert orjson.loads((folder / "champion.json").read_bytes()).keys() == fields
    found = read_pointer(tmp_path, NAME, "champion")
    assert found == replace(version(tmp_path), digest="abc")


@pytest.mark.parametrize("more", [{"digest": "abc"}, {"digest": "abc", "of_a_later_release": 1}])
def test_what_a_later_release_wrote_is_read_here(tmp_path: Path, more: dict[str, object]) -> None:
    file = written(tmp_path) / "tail.xgboost-quantile" / "champion.json"
    file.write_bytes(orjson.dumps(orjson.loads(file.read_bytes()) | more))
    assert read_pointer(tmp_path, NAME, "champion") == replace(version(tmp_path), digest="abc")


def test_a_version_is_found_by_its_record_and_before_there_were_any_by_an_alias(
    tmp_path: Path,
) -> None:
    folder = written(tmp_path)
    assert find_version(folder, NAME, "1.2.0") == version(folder)
    assert find_version(folder, NAME, "1.1.0") is None
    damaged = folder / "tail.xgboost-quantile" / "canary.json"
    damaged.write_bytes(b"{")
    assert find_version(folder, NAME, "1.2.0") == version(folder)
    keep_record(folder, version(folder))
    write_pointer(folder, "champion", replace(version(folder), version="1.3.0"))
    assert find_version(folder, NAME, "1.2.0") == replace(version(folder), aliases=())
    assert list(map(str, recorded(folder, NAME))) == ["1.2.0"]
    keep_record(folder, replace(version(folder), metrics={}))
    assert find_version(folder, NAME, "1.2.0") == replace(version(folder), aliases=())


def test_no_record_is_written_where_a_model_has_no_folder(tmp_path: Path) -> None:
    keep_record(tmp_path, version(tmp_path))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidNameError):
        find_version(tmp_path, NAME, "../../etc")
