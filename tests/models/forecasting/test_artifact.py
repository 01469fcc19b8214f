"""Saved forecasters: the numbers to the last bit, and nothing that is not what was saved."""

import math
from pathlib import Path

import numpy as np
import orjson
import pytest

from models.errors import ArtifactError
from models.forecasting import artifact
from models.forecasting.kinds import load_member

BODY = {"level": 0.1 + 0.2, "beta": [math.pi, -0.0, 5e-324, 1.7976931348623157e308]}


def test_numbers_come_back_to_the_bit(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).normal(size=1_000) ** 9
    artifact.write(tmp_path, "harmonic", {**BODY, "drawn": drawn})
    body = artifact.read(tmp_path, "harmonic")
    assert np.array(body["drawn"]).tobytes() == drawn.tobytes()
    assert np.array(body["beta"]).tobytes() == np.array(BODY["beta"]).tobytes()


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    artifact.write(tmp_path, "harmonic", BODY)
    path = tmp_path / "harmonic.json"
    path.write_bytes(path.read_bytes().replace(b"3.14", b"3.15"))
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        artifact.read(tmp_path, "harmonic")


def test_another_format_is_refused(tmp_path: Path) -> None:
    artifact.write(tmp_path, "harmonic", BODY)
    path = tmp_path / "harmonic.json"
    document = orjson.loads(path.read_bytes()) | {"format": 99}
    path.write_bytes(orjson.dumps(document))
    with pytest.raises(ArtifactError, match="train again"):
        artifact.read(tmp_path, "harmonic")


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"{"])
def test_what_is_no_artifact_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "harmonic.json").write_bytes(text)
    with pytest.raises(ArtifactError, match="no readable harmonic"):
        artifact.read(tmp_path, "harmonic")


def test_a_kind_outside_the_table_is_never_imported(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the known kinds are: prophet"):
        load_member("os", tmp_path)
