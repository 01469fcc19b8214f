"""Keeps the logs of a Ray cluster that could not start: its own folder goes with the run."""

import shutil
from contextlib import suppress
from pathlib import Path

NAME = "ray"


def kept_folder(logs: Path) -> Path:
    return logs / NAME


def keep(scratch: Path, logs: Path) -> None:
    """Copy what the last cluster wrote, in place of what was kept before."""
    written = scratch / "ray" / "session_latest" / "logs"
    if not written.is_dir():
        return
    kept = kept_folder(logs)
    shutil.rmtree(kept, ignore_errors=True)
    # Its processes may still remove files meanwhile, or the disk be full: what can be copied is.
    with suppress(OSError):
        shutil.copytree(written, kept)
