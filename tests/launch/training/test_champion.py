"""What a training leaves behind, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

# Dies as Ctrl-C, and a supervisor that has waited long enough, end it: while a model is saved.
_KILLED = """
import os, sys
from pathlib import Path
from launch.training.champion import make_champion
from models.registry import Registry

home, scratch = Path(sys.argv[1]), Path(sys.argv[2])

def save(folder):
    (folder / "half").touch()
    os.kill(os.getpid(), int(sys.argv[3]))

registry = Registry(f"sqlite:///{home}/mlflow.db", home / "models")
make_champion(registry, scratch, "tail/slo", save, {}, made_up=False)
"""


def test_one_that_is_killed_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    for folder in (home, scratch):
        folder.mkdir()
    for number in (signal.SIGTERM, signal.SIGKILL):
        command = [sys.executable, "-c", _KILLED, str(home), str(scratch), str(number.value)]
        assert subprocess.run(command, check=False).returncode == -number
    assert list(home.iterdir()) == []
    assert len(list(scratch.iterdir())) == 2  # they go with the run
