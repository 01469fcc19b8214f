"""Modules are read from the operator's folder only, and only where nobody else can write them."""

import os
from pathlib import Path

import pytest

from features.errors import BadModuleError
from features.functions.folder import MOST_BYTES, FunctionFolder
from features.functions.kept import KeptModules

TEXT = "def f(load):\n    return load\n"


def put(folder: Path, name: str = "own.py") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True, mode=0o755)
    path.write_text(TEXT)
    path.chmod(0o644)
    return path


def refusal(folder: Path | None, module: str = "own") -> str:
    with pytest.raises(BadModuleError) as refused:
        FunctionFolder(folder).read(module)
    return str(refused.value)


def test_a_dotted_name_is_a_file_of_the_folder(folder: Path) -> None:
    put(folder)
    put(folder, "team/latency.py")
    for name in ("own", "team.latency"):
        assert FunctionFolder(folder).read(name).text == TEXT.encode()


def test_without_a_folder_or_a_file_it_says_what_to_do(folder: Path) -> None:
    assert "set BALLAST_FUNCTIONS_FOLDER" in refusal(None)
    assert "No such file" in refusal(folder)
    os.mkfifo(folder / "own.py", 0o600)
    assert "is no file" in refusal(folder)


def test_what_others_can_write_is_refused(folder: Path) -> None:
    path = put(folder, "team/own.py")
    for each, mode in ((path, 0o664), (path, 0o646), (path.parent, 0o775), (folder, 0o777)):
        before = each.stat().st_mode
        each.chmod(mode)
        assert f"{each} can be written by others" in refusal(folder, "team.own")
        each.chmod(before)
    folder.chmod(0o1777)  # as /tmp is
    assert FunctionFolder(folder).read("team.own").text == TEXT.encode()


def test_links_lead_nowhere_else(folder: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere.py")
    (folder / "own.py").symlink_to(tmp_path / "elsewhere.py")
    assert "leads out of" in refusal(folder)
    put(folder, "there.py")
    (folder / "own.py").unlink()
    (folder / "own.py").symlink_to(folder / "there.py")
    assert FunctionFolder(folder).read("own").text == TEXT.encode()


def test_a_folder_that_is_a_link_is_judged_by_where_it_leads(folder: Path, tmp_path: Path) -> None:
    put(folder)
    (tmp_path / "link").symlink_to(folder)
    assert FunctionFolder(tmp_path / "link").read("own").text == TEXT.encode()
    folder.chmod(0o777)
    assert "can be written by others" in refusal(tmp_path / "link")


def test_a_module_may_be_so_large(folder: Path) -> None:
    path = put(folder)
    path.write_text("#" * (MOST_BYTES + 1))
    assert "more than" in refusal(folder)


def test_a_copy_is_kept_by_its_hash_and_a_changed_one_is_none(
    folder: Path, kept: KeptModules, tmp_path: Path
) -> None:
    put(folder)
    module = FunctionFolder(folder).read("own")
    kept.keep(module)
    kept.keep(module)
    assert kept.text(module.sha256) == TEXT.encode()
    (copy,) = (tmp_path / "kept").iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600
    copy.write_text("import os")
    assert kept.text(module.sha256) is None
    kept.keep(module)
    assert kept.text(module.sha256) == TEXT.encode()
    assert KeptModules(tmp_path / "kept", may_run=False).text(module.sha256) is None
    kept.keep_only({"another"})
    assert kept.text(module.sha256) is None
