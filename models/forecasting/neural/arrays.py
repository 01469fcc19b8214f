"""Arrays of weights as text in a JSON document: the bytes of single-precision numbers, base64."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.errors import ArtifactError
from models.protocols import FloatArray

_SINGLE = np.dtype("<f4")


def written(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _written(np.asarray(array, _SINGLE)) for name, array in arrays.items()}


def read(document: Mapping[str, Any]) -> dict[str, FloatArray]:
    """Read what `written` gave, in double precision; ArtifactError when it is not that."""
    try:
        arrays = {name: _read(each) for name, each in document.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"the weights cannot be read: {error}; train again") from error
    if broken := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise ArtifactError(f"weights that are not finite: {', '.join(broken)}; train again")
    return arrays


def _written(array: Any) -> dict[str, Any]:
    bits = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"shape": list(array.shape), "single": bits}


def _read(each: Mapping[str, Any]) -> FloatArray:
    raw = base64.b64decode(each["single"], validate=True)
    return np.frombuffer(raw, _SINGLE).reshape(each["shape"]).astype(np.float64)
