from pathlib import Path

import pytest

from models.digest import digest_of


def folder_with(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


FILES = {"kind": b"tft", "weights/a": b"\0\1", "weights/b": b""}


def test_the_same_files_have_the_same_digest_wherever_they_lie(tmp_path: Path) -> None:
    here = folder_with(tmp_path / "here", FILES)
    there = folder_with(tmp_path / "there", dict(reversed(FILES.items())))
    assert digest_of(here) == digest_of(there)


@pytest.mark.parametrize(
    "other",
    [
        FILES | {"kind": b"tfu"},
        FILES | {"more": b""},
        {"kind": b"tft", "weights/a": b"\0\1"},
        {"kind": b"tft", "weights/b": b"\0\1", "weights/a": b""},
        {"kindtft": b"", "weights/a": b"\0\1", "weights/b": b""},
    ],
)
def test_any_difference_makes_another_digest(tmp_path: Path, other: dict[str, bytes]) -> None:
    digest = digest_of(folder_with(tmp_path / "one", FILES))
    assert digest_of(folder_with(tmp_path / "other", other)) != digest
