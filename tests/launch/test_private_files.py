import os
import stat
import subprocess
import sys
from pathlib import Path

from launch.private_files import close_to_others


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_an_earlier_release_left_open_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "history").mkdir(parents=True, mode=0o755)
    for name in ("mlflow.db", "history/decisions", "run.json"):
        (home / name).write_text("for one pair of eyes")
        (home / name).chmod(0o644)
    (home / "tool").touch(mode=0o755)
    close_to_others(home)
    for path in (home, *home.rglob("*")):
        assert mode(path) & 0o077 == 0, path
    assert mode(home / "tool") == 0o700


def test_what_a_link_leads_to_is_left_as_it_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("somebody else's")
    elsewhere.chmod(0o644)
    home = tmp_path / "home"
    home.mkdir()
    (home / "link").symlink_to(elsewhere)
    (home / "nowhere").symlink_to(tmp_path / "nothing")
    close_to_others(home)
    assert mode(elsewhere) == 0o644


def test_every_command_creates_files_for_its_owner_only(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; os.umask(0o022)\n"
        "from typer.testing import CliRunner\n"
        "from launch.cli import app\n"
        "assert CliRunner().invoke(app, ['version']).exit_code == 0\n"
        "open(sys.argv[1], 'w').close()\n"
        "subprocess.run([sys.executable, '-c', 'import sys; open(sys.argv[1], \"w\")',\n"
        " sys.argv[2]])"
    )
    own, of_a_child = tmp_path / "own", tmp_path / "child"
    command = [sys.executable, "-c", code, str(own), str(of_a_child)]
    subprocess.run(command, check=True, env=os.environ)
    assert mode(own) == mode(of_a_child) == 0o600
