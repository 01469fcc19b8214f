"""The state of change-point detection, empty, and one stream of it as bytes."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.anomaly import codec
from models.anomaly.bocpd_settings import BocpdSettings
from models.anomaly.bocpd_state import Streams
from models.errors import ArtifactError, ModelError

_KIND = "bocpd"
PATH_TURNS = 64  # entries: enough for some dozens of segments
_BY_HYPOTHESIS = ("start", "began", "log_p", "log_own", "prefix", "stats")


def empty(settings: BocpdSettings, dimensions: int) -> Streams:
    """No streams yet."""
    many, whole = settings.hypotheses, np.int64
    return Streams(
        total=np.zeros(0, whole),
        size=np.zeros(0, whole),
        start=np.zeros((0, many), whole),
        began=np.zeros((0, many)),
        log_p=np.zeros((0, many)),
        log_own=np.zeros((0, many)),
        prefix=np.zeros((0, many)),
        stats=np.zeros((0, many, settings.statistics(dimensions))),
        best=np.zeros(0),
        centre=np.zeros((0, dimensions)),
        scale=np.zeros((0, dimensions)),
        stash=np.zeros((0, settings.warmup, dimensions)),
        stash_when=np.zeros((0, settings.warmup)),
        stashed=np.zeros(0, whole),
        told=np.zeros(0, whole),
        paths=np.zeros(0, whole),
        path_from=np.zeros((0, PATH_TURNS), whole),
        path_start=np.zeros((0, PATH_TURNS), whole),
        path_began=np.zeros((0, PATH_TURNS)),
    )


def encode(settings: BocpdSettings, dimensions: int, streams: Streams, slot: int) -> bytes:
    size = int(streams.size[slot])
    state = {name: array[slot] for name, array in streams._asdict().items()}
    state |= {name: state[name][:size] for name in _BY_HYPOTHESIS}
    return codec.encode(_KIND, asdict(settings) | {"dimensions": dimensions}, state)


def decode(data: bytes, settings: BocpdSettings, dimensions: int) -> dict[str, NDArray[Any]]:
    snapshot = codec.decode(data, _KIND)
    found = _settings(snapshot.settings)
    if found != (settings, dimensions):
        raise ArtifactError(
            f"the snapshot was made with {found}, but here are {(settings, dimensions)}"
        )
    return snapshot.arrays


def settings_of(data: bytes) -> tuple[BocpdSettings, int]:
    """Read only what a stream was kept with."""
    return _settings(codec.decode(data, _KIND).settings)


def _settings(stored: Mapping[str, Any]) -> tuple[BocpdSettings, int]:
    fields = dict(stored)
    try:
        dimensions = int(fields.pop("dimensions"))
        return BocpdSettings(**fields), dimensions
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise ArtifactError(f"the snapshot's settings are not valid for bocpd: {error}") from error
