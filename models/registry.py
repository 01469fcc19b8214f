"""The model registry: versions that never change, and aliases that say which one serves.

MLflow keeps the record, the files lie under `artifact_dir`/<name>/<version>. MLflow counts
versions 1, 2, 3; ours are semantic (1.0.0) and kept as a tag. One lock file beside the artifacts
orders everything that writes, so that any number of processes on the machine may register at once.
"""

import fcntl
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from models.digest import digest_of
from models.errors import ArtifactError, UnknownModelError, VersionTakenError
from models.model_version import (
    FIRST,
    ModelVersion,
    Semver,
    checked_alias,
    folder_name,
    name_of,
)
from models.pointer import keep_record, recorded, write_pointer

CHAMPION = "champion"
_VERSION, _METRICS, _DIGEST = "ballast.version", "ballast.metrics", "ballast.digest"
_DRAFT = ".draft-"
_MOST_MODELS = 1_000  # what MLflow lists in one answer
_SILENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


class Registry:
    """Cheap to make; the first call imports MLflow, which takes seconds."""

    def __init__(self, tracking_uri: str, artifact_dir: Path) -> None:
        self._tracking_uri = tracking_uri
        self.artifact_dir = artifact_dir.resolve()

    def register(
        self,
        name: str,
        folder: Path,
        *,
        metrics: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> ModelVersion:
        """Copy an artifact folder in as a new version: the one given, or the next minor one."""
        if not folder.is_dir():
            raise ArtifactError(f"{folder} is not a folder with a saved model")
        with self._lock():
            number = self._free(name, version)
            self._copy_in(folder, self.artifact_dir / folder_name(name) / str(number))
            self._record(name, number, metrics, tags or {})
            made = self.get(name, str(number))
            keep_record(self.artifact_dir, made)
            return made

    def set_alias(self, name: str, alias: str, version: str) -> ModelVersion:
        """Point an alias at a version, in MLflow first and then in the pointer file."""
        with self._lock():
            numbers = {found.tags[_VERSION]: found.version for found in self._versions_of(name)}
            wanted = self.get(name, version).version
            self._client.set_registered_model_alias(
                folder_name(name), checked_alias(alias), numbers[wanted]
            )
            return self._point(name, alias)

    def resolve(self, name: str, alias: str) -> ModelVersion:
        """Ask MLflow what the alias points at, and set the pointer file right if it says other."""
        with self._lock():
            return self._point(name, alias)

    def get(self, name: str, version: str) -> ModelVersion:
        wanted = str(Semver.parse(version))
        for found in self.versions(name):
            if found.version == wanted:
                return found
        raise UnknownModelError(f"model {name!r} has no version {wanted}")

    def versions(self, name: str) -> list[ModelVersion]:
        """List the versions of a model, oldest number first; UnknownModelError when it has none."""
        aliases = self._aliases(name)
        versions = [self._version(name, found, aliases) for found in self._versions_of(name)]
        return sorted(versions, key=lambda found: Semver.parse(found.version))

    def names(self) -> list[str]:
        return sorted(name_of(model.name) for model in self._models(None))

    @cached_property
    def _client(self) -> Any:
        with self._lock(".opening"):  # the first of several processes makes the tables
            return open_client(self._tracking_uri)

    def _point(self, name: str, alias: str) -> ModelVersion:
        checked_alias(alias)
        versions = self.versions(name)
        for found in versions:  # those of an earlier release have none
            keep_record(self.artifact_dir, found)
        for found in versions:
            if alias in found.aliases:
                _refuse_lost(found)
                _refuse_changed(found)
                write_pointer(self.artifact_dir, alias, found)
                return found
        raise UnknownModelError(f"model {name!r} has no {alias}")

    def _free(self, name: str, version: str | None) -> Semver:
        taken = [Semver.parse(found.tags[_VERSION]) for found in self._search(name)]
        # A database that was lost knows of none; configurations that pin them still do.
        taken += recorded(self.artifact_dir, name)
        if version is None:
            return max(taken).next_minor() if taken else FIRST
        if (number := Semver.parse(version)) in taken:
            raise VersionTakenError(f"model {name!r} already has a version {number}")
        return number

    def _copy_in(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f"{_DRAFT}*"):  # by a killed process: this one has the lock
            shutil.rmtree(left, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=target.parent))
        shutil.copytree(source, draft, dirs_exist_ok=True)
        # MLflow knows no such version, so a folder of that name is what a killed process left.
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)

    def _record(
        self, name: str, number: Semver, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        folder = folder_name(name)
        if not self._models(name):
            self._client.create_registered_model(folder)
        files = self.artifact_dir / folder / str(number)
        own = {
            _VERSION: str(number),
            _METRICS: json.dumps(dict(metrics)),
            _DIGEST: digest_of(files),
        }
        self._client.create_model_version(folder, files.as_uri(), tags={**tags, **own})

    def _version(self, name: str, found: Any, aliases: dict[str, str]) -> ModelVersion:
        tags = dict(found.tags)
        version, metrics = tags.pop(_VERSION), json.loads(tags.pop(_METRICS))
        digest = tags.pop(_DIGEST, "")
        return ModelVersion(
            name=name,
            version=version,
            path=self.artifact_dir / folder_name(name) / version,
            created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            aliases=tuple(sorted(key for key in aliases if aliases[key] == str(found.version))),
            metrics=metrics,
            tags=tags,
            digest=digest,
        )

    def _aliases(self, name: str) -> dict[str, str]:
        return {k: str(v) for model in self._models(name) for k, v in model.aliases.items()}

    def _models(self, name: str | None) -> list[Any]:
        wanted = None if name is None else f"name='{folder_name(name)}'"
        return list(self._client.search_registered_models(wanted, max_results=_MOST_MODELS))

    def _versions_of(self, name: str) -> list[Any]:
        if not (found := self._search(name)):
            raise UnknownModelError(
                f"there is no model {name!r}; the models are: {', '.join(self.names())}"
            )
        return found

    def _search(self, name: str) -> list[Any]:
        return list(self._client.search_model_versions(f"name='{folder_name(name)}'"))

    @contextmanager
    def _lock(self, name: str = ".writing") -> Iterator[None]:
        self.artifact_dir.mkdir(parents=True, exist_ok=True)
        with (self.artifact_dir / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _refuse_lost(found: ModelVersion) -> None:
    if not found.path.is_dir():
        raise ArtifactError(
            f"{found.name} {found.version} is registered but {found.path} is gone; "
            "restore the folder or point the alias at another version"
        )


def _refuse_changed(found: ModelVersion) -> None:
    if found.digest and digest_of(found.path) != found.digest:
        raise ArtifactError(
            f"the files of {found.name} {found.version} differ from those that were "
            f"registered; restore {found.path}, or register them as a new version"
        )


def open_client(tracking_uri: str) -> Any:
    """Open the client, making the database's tables if there are none.

    Takes seconds the first time. Two processes must not do it at once: hold a lock.
    """
    for name, value in _SILENCE.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # SQLAlchemy deprecates an option that this MLflow uses; nothing a user could act on.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415  importing it takes seconds, so not before

        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
