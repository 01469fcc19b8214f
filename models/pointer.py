"""What is known of a model's versions without MLflow: small files beside the artifacts.

`champion.json` is what the alias points at, `1.2.0.json` the record of a version. Asking MLflow
takes a fresh process seconds and 200 MB, reading one of these 16 ms: a replica that only serves
wants a path. The registry writes them whenever it registers a version or moves an alias, MLflow
stays the truth of aliases, and paths are relative, so that the folder can be mounted anywhere.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import datetime
from pathlib import Path

import orjson

from models.errors import ArtifactError, InvalidNameError
from models.model_version import ModelVersion, Semver, checked_alias, folder_name

_DIGEST = "ballast.digest"
_FIELDS = {each.name for each in fields(ModelVersion)}


def read_pointer(artifact_dir: Path, name: str, alias: str) -> ModelVersion | None:
    """Read what the alias points at; None when the registry never set it."""
    return _read(_file(artifact_dir, name, alias))


def write_pointer(artifact_dir: Path, alias: str, version: ModelVersion) -> None:
    _write(_file(artifact_dir, version.name, alias), version)


def find_version(artifact_dir: Path, name: str, number: str) -> ModelVersion | None:
    """Find a version by its record, or by an alias of it where an earlier release left none."""
    if (found := _read(_record(artifact_dir, name, number))) is not None:
        return found
    for file in sorted((artifact_dir / folder_name(name)).glob("[a-z]*.json")):
        with suppress(ArtifactError):  # a damaged one is another alias's trouble
            pointed = _read(file)
            if pointed is not None and pointed.version == number:
                return pointed
    return None


def keep_record(artifact_dir: Path, version: ModelVersion) -> None:
    """Write a version's record, unless there is one; no alias is part of it, for those move.

    Where a model's folder is gone nothing is written.
    """
    file = _record(artifact_dir, version.name, version.version)
    if file.parent.is_dir() and not file.exists():
        _write(file, replace(version, aliases=()))


def recorded(artifact_dir: Path, name: str) -> Iterator[Semver]:
    """Give the numbers that have a record: their files stay what they are."""
    for file in (artifact_dir / folder_name(name)).glob("[0-9]*.json"):
        try:
            yield Semver.parse(file.stem)
        except InvalidNameError:
            continue


def _read(file: Path) -> ModelVersion | None:
    try:
        document = orjson.loads(file.read_bytes())
        document["path"] = file.parent / document["version"]
        document["created"] = datetime.fromisoformat(document["created"])
        document["aliases"] = tuple(document["aliases"])
        if (digest := document["tags"].pop(_DIGEST, None)) is not None:
            document["digest"] = digest
        # A later release may say more of a version than this one knows.
        return ModelVersion(**{name: document[name] for name in document if name in _FIELDS})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"the pointer {file} is damaged ({type(error).__name__}: {error}); set the alias again"
        ) from error


def _write(file: Path, version: ModelVersion) -> None:
    document = asdict(version) | {"path": version.version}
    # Releases before the digest refuse a field that they do not know, but not a tag.
    if digest := document.pop("digest"):
        document["tags"] |= {_DIGEST: digest}
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    draft.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    draft.replace(file)  # a reader sees the old pointer or the new one, never half of one


def _file(artifact_dir: Path, name: str, alias: str) -> Path:
    return artifact_dir / folder_name(name) / f"{checked_alias(alias)}.json"


def _record(artifact_dir: Path, name: str, number: str) -> Path:
    return artifact_dir / folder_name(name) / f"{Semver.parse(number)}.json"
