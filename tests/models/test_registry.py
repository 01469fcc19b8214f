import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.digest import digest_of
from models.errors import (
    ArtifactError,
    InvalidNameError,
    UnknownModelError,
    VersionTakenError,
)
from models.pointer import find_version, read_pointer
from models.registry import CHAMPION, Registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("registry")
    return Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "weights").write_bytes(b"\x00\x01")
    return folder


def test_a_version_keeps_files_metrics_and_tags(registry: Registry, saved: Path) -> None:
    made = registry.register("tail/kept", saved, metrics={"coverage": 0.9}, tags={"seed": "7"})
    (saved / "weights").write_bytes(b"changed later")
    assert (made.name, made.version, made.aliases) == ("tail/kept", "1.0.0", ())
    assert (made.metrics, made.tags) == ({"coverage": 0.9}, {"seed": "7"})
    assert (made.path / "weights").read_bytes() == b"\x00\x01"
    assert abs((datetime.now(UTC) - made.created).total_seconds()) < 60
    assert registry.get("tail/kept", "v1.0.0") == made
    assert "tail/kept" in registry.names()


def test_versions_count_up_or_are_given_and_never_change(registry: Registry, saved: Path) -> None:
    for given in (None, None, "v2.0.0", None, "1.9.0", "1.10.0"):
        registry.register("tail/counted", saved, metrics={}, version=given)
    versions = [found.version for found in registry.versions("tail/counted")]
    assert versions == ["1.0.0", "1.1.0", "1.9.0", "1.10.0", "2.0.0", "2.1.0"]
    with pytest.raises(VersionTakenError, match=r"already has a version 1\.9\.0"):
        registry.register("tail/counted", saved, metrics={}, version="1.9.0")


def test_aliases_move_and_the_pointer_follows(registry: Registry, saved: Path) -> None:
    name = "tail/moved"
    for _ in range(2):
        registry.register(name, saved, metrics={"coverage": 0.9})
    registry.set_alias(name, CHAMPION, "1.0.0")
    registry.set_alias(name, "challenger", "1.1.0")
    promoted = registry.set_alias(name, CHAMPION, "1.1.0")
    assert promoted.aliases == ("challenger", CHAMPION)
    assert registry.resolve(name, CHAMPION) == promoted
    assert read_pointer(registry.artifact_dir, name, CHAMPION) == promoted
    assert registry.get(name, "1.0.0").aliases == ()
    back = registry.set_alias(name, CHAMPION, "v1.0.0")
    assert read_pointer(registry.artifact_dir, name, CHAMPION) == back


def test_resolving_sets_a_stale_pointer_right(registry: Registry, saved: Path) -> None:
    registry.register("tail/stale", saved, metrics={})
    champion = registry.set_alias("tail/stale", CHAMPION, "1.0.0")
    pointer = champion.path.parent / "champion.json"
    pointer.unlink()
    assert registry.resolve("tail/stale", CHAMPION) == champion
    assert read_pointer(registry.artifact_dir, "tail/stale", CHAMPION) == champion


def test_what_is_not_there_is_said(registry: Registry, saved: Path) -> None:
    registry.register("tail/there", saved, metrics={})
    with pytest.raises(
        UnknownModelError, match=r"no model 'tail/gone'; the models are: .*tail/there"
    ):
        registry.versions("tail/gone")
    with pytest.raises(UnknownModelError, match="no model 'tail/gone'"):
        registry.resolve("tail/gone", CHAMPION)
    with pytest.raises(UnknownModelError, match="'tail/there' has no champion"):
        registry.resolve("tail/there", CHAMPION)
    with pytest.raises(UnknownModelError, match=r"'tail/there' has no version 3\.0\.0"):
        registry.set_alias("tail/there", CHAMPION, "3.0.0")
    with pytest.raises(InvalidNameError, match="model name"):
        registry.versions("tail/there' or name like '%")
    with pytest.raises(ArtifactError, match="not a folder"):
        registry.register("tail/there", saved / "weights", metrics={})


def test_a_version_whose_files_are_gone_is_not_resolved(registry: Registry, saved: Path) -> None:
    registry.register("tail/lost", saved, metrics={})
    champion = registry.set_alias("tail/lost", CHAMPION, "1.0.0")
    champion.path.rename(champion.path.with_name("elsewhere"))
    with pytest.raises(ArtifactError, match="is gone"):
        registry.resolve("tail/lost", CHAMPION)


def test_a_version_whose_files_were_changed_is_not_resolved(
    registry: Registry, saved: Path
) -> None:
    registry.register("tail/changed", saved, metrics={})
    champion = registry.set_alias("tail/changed", CHAMPION, "1.0.0")
    (champion.path / "weights").write_bytes(b"another model")
    with pytest.raises(ArtifactError, match="differ from those that were registered"):
        registry.resolve("tail/changed", CHAMPION)


def test_where_the_database_is_lost_no_files_of_a_version_are_written_over(
    tmp_path: Path, saved: Path
) -> None:
    """Configurations pin versions by their numbers and digests."""
    pointers = []
    for database in ("lost.db", "new.db"):
        registry = Registry(f"sqlite:///{tmp_path}/{database}", tmp_path / "artifacts")
        made = registry.register("tail/again", saved, metrics={})
        registry.set_alias("tail/again", CHAMPION, made.version)
        pointers.append(read_pointer(tmp_path / "artifacts", "tail/again", CHAMPION))
        (saved / "weights").write_bytes(b"another model")
    old, new = pointers
    assert old is not None
    assert new is not None
    assert (old.version, new.version) == ("1.0.0", "1.1.0")
    kept = find_version(tmp_path / "artifacts", "tail/again", "1.0.0")
    assert kept == replace(old, aliases=())
    assert digest_of(kept.path) == kept.digest != new.digest


def test_versions_of_an_earlier_release_get_their_records_with_the_next_alias(
    registry: Registry, saved: Path
) -> None:
    for _ in range(2):
        registry.register("tail/older", saved, metrics={"coverage": 0.9}, tags={"seed": "1"})
    folder = registry.artifact_dir / "tail.older"
    for record in folder.glob("*.json"):
        record.unlink()
    assert find_version(registry.artifact_dir, "tail/older", "1.0.0") is None
    registry.set_alias("tail/older", CHAMPION, "1.1.0")
    found = find_version(registry.artifact_dir, "tail/older", "1.0.0")
    assert found == registry.get("tail/older", "1.0.0")


def test_what_a_killed_process_left_does_not_hinder(registry: Registry, saved: Path) -> None:
    orphan = registry.artifact_dir / "tail.orphan" / "1.0.0"
    orphan.mkdir(parents=True)
    (orphan / "half").write_bytes(b"")
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=orphan.parent))
    (draft / "half").write_bytes(b"")
    made = registry.register("tail/orphan", saved, metrics={})
    assert made.path == orphan
    assert [file.name for file in made.path.iterdir()] == ["weights"]
    assert {file.name for file in orphan.parent.iterdir()} == {"1.0.0", "1.0.0.json"}


# A process of its own, which reports every address that anything in it tries to reach.
_PROCESS = """
import sys
from pathlib import Path

def report(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        print("reached out:", event, arguments[-1:], file=sys.stderr)

sys.addaudithook(report)
from models.registry import Registry

folder = Path(sys.argv[1])
registry = Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
for _ in range(4):
    made = registry.register("tail/raced", folder / "saved", metrics={"coverage": 0.9})
    registry.set_alias("tail/raced", "champion", made.version)
"""


def _plain() -> dict[str, str]:
    # MLflow holds its tongue by itself where it sees that it is being tested.
    return {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("PYTEST_")}


@pytest.mark.timeout(300)  # two imports of MLflow, on machines that may be busy
@pytest.mark.usefixtures("saved")
def test_processes_register_at_once_in_silence(tmp_path: Path) -> None:
    # Both find no database and both make it; neither calls out, warns, or litters where it stands.
    standing = tmp_path / "standing"
    standing.mkdir()
    command = [sys.executable, "-W", "always", "-c", _PROCESS, str(tmp_path)]
    both = [
        subprocess.Popen(
            command, cwd=standing, env=_plain(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=250)[0].decode() for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert list(standing.iterdir()) == []
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "artifacts")
    versions = registry.versions("tail/raced")
    assert [found.version for found in versions] == [f"1.{minor}.0" for minor in range(8)]
    assert all((found.path / "weights").read_bytes() == b"\x00\x01" for found in versions)
    champions = [found for found in versions if CHAMPION in found.aliases]
    assert champions == [read_pointer(tmp_path / "artifacts", "tail/raced", CHAMPION)]


def test_a_serving_process_reads_the_champion_without_mlflow(tmp_path: Path) -> None:
    script = "import sys, models.pointer; print('mlflow' in sys.modules)"
    command = [sys.executable, "-c", script]
    assert (
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"False\n"
    )
