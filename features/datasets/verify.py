"""Holds a training set against its certificate, and against the same rows made once more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.datasets.certificate import hash_of
from features.datasets.file import ABOUT

MOST_SHOWN = 10


def certificate_faults(
    path: Path, certificate: Mapping[str, Any], versions: Mapping[str, str]
) -> list[str]:
    """Name what of a certificate does not hold for its file, or not for the present definitions."""
    found = []
    if hash_of(path) != certificate["file"]["sha256"]:
        found.append("the file is not the one that was certified: its SHA-256 is another")
    if not certificate["replay"]["equal"]:
        found.append("the certificate itself says that replayed rows were unequal")
    for name, version in certificate["definitions"]["versions"].items():
        if versions.get(name) != version:
            now = versions.get(name, "not defined")
            found.append(f"the feature {name} was of version {version}, and is now {now}")
    return found


def differences(before: pa.Table, after: pa.Table) -> list[str]:
    """Name the values that differ between two tables of the same entities and moments."""
    again = after.sort_by("row")
    found = []
    for name in (each for each in before.column_names if each not in ABOUT):
        old, new = before[name], again[name]
        same = pc.or_kleene(pc.equal(old, new), pc.and_(pc.is_null(old), pc.is_null(new)))
        for row in np.flatnonzero(~np.array(same.fill_null(False)))[:MOST_SHOWN].tolist():
            where = f"{before['entity'][row]} at {before['time'][row]}"
            found.append(f"{where}: {name} is {old[row]} in the file, and now {new[row]}")
    return found[:MOST_SHOWN]
