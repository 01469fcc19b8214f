"""Each peer's own virtual environment, made from its lock file and made anew when that changes."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path


def peer_python(peer: str, peers: Path, environments: Path) -> Path:
    lock = peers / peer / "requirements.lock"
    home = environments / peer
    python = home / "bin" / "python"
    stamp = home / "lock.sha256"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == digest):
        print(f"making the environment of {peer} from its lock file", flush=True)
        _install(home, python, lock)
        stamp.write_text(digest)
    return python


def _install(home: Path, python: Path, lock: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    # The lock is complete, so nothing is resolved again: --no-deps also honours its overrides.
    subprocess.run(
        [python, "-m", "pip", "install", "-qq", "--no-deps", "--require-hashes", "-r", lock],
        check=True,
    )


def locked_version(peer: str, peers: Path) -> str:
    """Read the version of the peer that its lock file pins."""
    for line in (peers / peer / "requirements.lock").read_text().splitlines():
        name, _, rest = line.partition("==")
        if name == peer:
            return rest.split()[0]
    raise ValueError(f"{peers / peer / 'requirements.lock'} does not pin {peer}")
