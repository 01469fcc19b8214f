"""What a training set is certified to be: of which definitions and rows, and how it was proven."""

import time
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from features.datasets.build import Builder, Wanted
from features.datasets.file import Counts, write
from features.datasets.replay import Replay, replay
from features.datasets.spine import Spine
from features.telemetry.tables import ColumnStore

FORMAT = 1
SAMPLE = 50
"""Rows that are replayed where nobody says how many."""
_PIECE = 1_048_576

Progress = Callable[[int, int], None]


def make(
    store: ColumnStore,
    wanted: Wanted,
    spine: Spine,
    path: Path,
    *,
    progress: Progress,
    is_cancelled: Callable[[], bool] = lambda: False,
    threads: int = 1,
    sample: int = SAMPLE,
    wall: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Write a training set, prove a sample of it, and give its certificate."""
    made_at = wall()
    parts = Builder(store, wanted, spine).made(threads)
    counts = write(path, spine, wanted.names, parts, progress, is_cancelled)
    digest = hash_of(path)
    proof = replay(store, wanted, path, sample, seed_of(digest))
    return _certificate(wanted, spine, counts, proof, made_at) | {
        "file": {"sha256": digest, "bytes": path.stat().st_size}
    }


def hash_of(path: Path) -> str:
    found = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def seed_of(digest: str) -> int:
    """Give the seed by which the rows to be replayed are drawn: nobody chooses it."""
    return int(digest[:16], 16)


def definitions_hash(wanted: Wanted) -> str:
    """Hash the versions of all features that are in a set, and of those that they follow from."""
    versions = {name: wanted.catalogue.versions[name] for name in _all(wanted)}
    return sha256(orjson.dumps(versions, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _all(wanted: Wanted) -> list[str]:
    return wanted.catalogue.order(wanted.names)


def _certificate(
    wanted: Wanted, spine: Spine, counts: Counts, proof: Replay, made_at: float
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_at": made_at,
        "rule": "event_time <= time and known_time <= time",
        "definitions": {
            "sha256": definitions_hash(wanted),
            "versions": {name: wanted.catalogue.versions[name] for name in _all(wanted)},
        },
        "spine": {
            "sha256": spine.hash,
            "entities": len(set(spine.entity.tolist())),
            "first": int(spine.at_ms.min()) / 1000,
            "last": int(spine.at_ms.max()) / 1000,
        },
        "counts": asdict(counts),
        "replay": asdict(proof) | {"equal": proof.is_equal},
    }
