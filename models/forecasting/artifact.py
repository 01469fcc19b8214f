"""A fitted forecaster as one JSON file: its numbers to the last bit, its kind and its checksum.

No pickle: reading one runs nothing. JSON writes the shortest decimal that reads back to the same
float, so what is loaded answers as what was saved.
"""

import hashlib
from pathlib import Path
from typing import Any

import orjson

from models.errors import ArtifactError

FORMAT = 1
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS


def write(folder: Path, kind: str, body: Any) -> None:
    """Write `body`, of dicts, sequences, strings, finite numbers and arrays, as <kind>.json."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"format": FORMAT, "kind": kind, "sha256": _digest(body), "body": body}
    (folder / f"{kind}.json").write_bytes(orjson.dumps(document, option=_OPTIONS))


def read(folder: Path, kind: str) -> Any:
    """Read what `write` left; ArtifactError when it is not that."""
    path = folder / f"{kind}.json"
    try:
        document = orjson.loads(path.read_bytes())
        found = {key: document[key] for key in ("format", "kind")}
        body, digest = document["body"], document["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder} holds no readable {kind}: {type(error).__name__}: {error}"
        ) from error
    if found != {"format": FORMAT, "kind": kind}:
        raise ArtifactError(
            f"{path} is {found}, but this release reads {FORMAT}, {kind}; train again"
        )
    if digest != _digest(body):
        raise ArtifactError(f"{path} is not the file that was saved; register it again")
    return body


def _digest(body: Any) -> str:
    return hashlib.sha256(orjson.dumps(body, option=_OPTIONS)).hexdigest()
