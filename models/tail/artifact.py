"""A tail model as two files: booster.ubj, XGBoost's own format, and meta.json.

No pickle: reading one runs nothing, and imports nothing of XGBoost.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from models.errors import ArtifactError
from models.tail.curve import LEVELS
from models.tail.inputs import INPUTS

FORMAT = 1
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
        found = TailMeta(**meta | {key: tuple(meta[key]) for key in ("input_low", "input_high")})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder} holds no readable tail model: {type(error).__name__}: {error}"
        ) from error
    _match(folder, document, hashlib.sha256(trees).hexdigest())
    return trees, found


def _match(folder: Path, document: dict[str, object], digest: str) -> None:
    expected = {"format": FORMAT, "levels": list(LEVELS), "inputs": list(INPUTS)}
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
