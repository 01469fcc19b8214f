"""A study as bytes: JSON, whose floats come back to the bit, and a checksum."""

import zlib
from dataclasses import asdict
from typing import Any

import orjson

from models.errors import ArtifactError, SpaceError, StudyError
from models.optimization.bayes.space import Space
from models.optimization.bayes.study import Design, Study, Trial

FORMAT = 1
_CHECKSUM = 4  # bytes


def encode(study: Study) -> bytes:
    body = orjson.dumps(
        {
            "format": FORMAT,
            "design": design_document(study.design),
            "trials": [asdict(trial) for trial in study.trials],
        }
    )
    return zlib.crc32(body).to_bytes(_CHECKSUM, "little") + body


def decode(data: bytes) -> Study:
    """Read what `encode` wrote; ArtifactError when it is not that."""
    body = data[_CHECKSUM:]
    if int.from_bytes(data[:_CHECKSUM], "little") != zlib.crc32(body) or not body:
        raise ArtifactError(
            f"the {len(data)} bytes are not a study: they are damaged or incomplete"
        )
    document = orjson.loads(body)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ArtifactError(f"the study does not have format {FORMAT}, which this release reads")
    try:
        trials = [_trial(each) for each in document["trials"]]
        return Study(design_from(document["design"]), trials)
    except (KeyError, TypeError, SpaceError, StudyError) as error:
        raise ArtifactError(f"the study's state is not complete: {error!r}") from error


def design_document(design: Design) -> dict[str, Any]:
    shallow = {name: getattr(design, name) for name in Design.__dataclass_fields__}
    return shallow | {"space": design.space.document()}


def design_from(document: dict[str, Any]) -> Design:
    """Read a design as JSON gives it; SpaceError or StudyError when a setting is wrong."""
    settings = dict(document)
    for name in ("goals", "constraints", "candidates"):
        if name in settings:
            settings[name] = tuple(settings[name])
    try:
        settings["space"] = Space.parse(document["space"])
        return Design(**settings)
    except (TypeError, KeyError) as error:
        raise StudyError(f"the document is not a design: {error!r}") from error


def _trial(document: dict[str, Any]) -> Trial:
    numbers = {name: tuple(document[name]) for name in ("values", "constraints")}
    return Trial(**document | numbers)
