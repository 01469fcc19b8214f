"""A tail model as two files: booster.ubj, XGBoost's own format, and meta.json.

No pickle: reading one runs nothing, and imports nothing of XGBoost.
"""

import hashlib
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import orjson

from models.errors import ArtifactError
from models.tail.curve import LEVELS
from models.tail.inputs import INPUTS
from models.tail.requests import Target

FORMAT = 2
READABLE = (1, 2)
"""Format 1 named neither cadence nor target, and had all inputs in every interval."""
_BY_INPUT = (
    "input_low", "input_high", "input_usual", "input_usual_low", "input_usual_high",
    "input_missing",
)  # fmt: skip
_BOOSTER, _META = "booster.ubj", "meta.json"


@dataclass(frozen=True, slots=True)
class TailMeta:
    """What belongs to a booster: how far its interval is moved, and what it has seen."""

    offset: float
    """CQR's offset, in log latency."""
    interval_level: float
    tail_lower: float
    tail_upper: float
    """Power-law indices beyond the outer quantiles."""
    input_low: tuple[float, ...]
    input_high: tuple[float, ...]
    """The 0.1 % and 99.9 % quantiles of each input in training: outside, the model extrapolates."""
    trained_from: int
    trained_to: int
    """First and last minute of the history used, epoch seconds."""
    requests: int
    """Requests the booster was fitted on."""
    seed: int
    libraries: dict[str, str]
    input_usual: tuple[float, ...] = ()
    """The median of each input in training; NaN of one that was never measured."""
    input_usual_low: tuple[float, ...] = ()
    input_usual_high: tuple[float, ...] = ()
    """Its 5 % and 95 % quantiles."""
    input_missing: tuple[float, ...] = ()
    """In which share of the training's intervals each input was missing."""
    cadence_seconds: float = 60.0
    target: Target = "exemplars"
    """What its quantiles are of: sampled requests, or ones drawn from intervals' quantiles."""
    history_hours: float = 0.0
    buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of entities that lie within one bucket of their histogram: its begin and end, in ms."""
    offsets: dict[str, float] = field(default_factory=dict)
    """Of entities with enough calibrated hours, their own in the place of `offset`."""

    def __post_init__(self) -> None:
        """Take the whole range of an input as usual where an earlier release did not say."""
        if not self.input_usual:
            low, high = np.array(self.input_low), np.array(self.input_high)
            object.__setattr__(self, "input_usual", tuple(((low + high) / 2).tolist()))
            object.__setattr__(self, "input_usual_low", self.input_low)
            object.__setattr__(self, "input_usual_high", self.input_high)
            object.__setattr__(self, "input_missing", (0.0,) * len(self.input_low))


def write(folder: Path, trees: bytes, meta: TailMeta) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _BOOSTER).write_bytes(trees)
    document = {
        "format": FORMAT,
        "levels": LEVELS,
        "inputs": INPUTS,
        "booster_sha256": hashlib.sha256(trees).hexdigest(),
        "meta": asdict(meta),
    }
    (folder / _META).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def read(folder: Path) -> tuple[bytes, TailMeta]:
    """Read both files; ArtifactError when they are not the two that `write` left."""
    try:
        trees, text = (folder / _BOOSTER).read_bytes(), (folder / _META).read_bytes()
        document = orjson.loads(text)
        meta = document["meta"]
        found = TailMeta(**meta | {key: _numbers(meta[key]) for key in _BY_INPUT if key in meta})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder} holds no readable tail model: {type(error).__name__}: {error}"
        ) from error
    _match(folder, document, hashlib.sha256(trees).hexdigest())
    return trees, found


def _numbers(values: list[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if value is None else value for value in values)  # JSON has no NaN


def _match(folder: Path, document: dict[str, object], digest: str) -> None:
    if document.get("format") not in READABLE:
        raise ArtifactError(
            f"{folder} has format {document.get('format')}, but this release reads "
            f"{' and '.join(map(str, READABLE))}; train again"
        )
    expected = {"levels": list(LEVELS), "inputs": list(INPUTS)}
    for key, value in expected.items():
        if document.get(key) != value:
            raise ArtifactError(
                f"{folder} has {key} {document.get(key)}, but this release reads {value}; train "
                "again"
            )
    if document.get("booster_sha256") != digest:
        raise ArtifactError(
            f"{folder / _BOOSTER} is not the file that was saved; register it again"
        )
