"""What the HTTP API of a Prometheus answers, read strictly: anything else than its form raises."""

from typing import Any, NamedTuple

import numpy as np

from features.telemetry.columns import Floats

Labels = dict[str, str]


class Sample(NamedTuple):
    """One value of one series, epoch seconds."""

    labels: Labels
    at: float
    value: float


class Series(NamedTuple):
    """The values of one series, by epoch seconds that rise."""

    labels: Labels
    at: Floats
    values: Floats


def series_in(content: object) -> list[Series]:
    found = _results(content, "matrix")
    return [_series(each) for each in found]


def samples_in(content: object) -> list[Sample]:
    found = _results(content, "vector")
    return [_sample(each) for each in found]


def texts_in(content: object) -> list[str]:
    return [_text(each) for each in _list(content)]


def label_sets_in(content: object) -> list[Labels]:
    return [_labels(each) for each in _list(content)]


def _results(content: Any, kind: str) -> list[Any]:
    if content["resultType"] != kind:
        raise ValueError(f"a {str(content['resultType'])[:20]} instead of a {kind}")
    return _list(content["result"])


def _series(each: Any) -> Series:
    if "histograms" in each:
        raise ValueError("histograms instead of numbers: see histogram_quantile")
    pairs = _list(each["values"])
    at, values = _numbers([pair[0] for pair in pairs]), _numbers([pair[1] for pair in pairs])
    if np.any(np.diff(at) <= 0) or not np.isfinite(at).all():
        raise ValueError("times that do not rise")
    return Series(_labels(each["metric"]), at, values)


def _sample(each: Any) -> Sample:
    if "histogram" in each:
        raise ValueError("a histogram instead of a number: see histogram_quantile")
    at, value = _numbers(_list(each["value"]))
    return Sample(_labels(each["metric"]), float(at), float(value))


def _numbers(values: list[Any]) -> Floats:
    # Values come as texts, NaN and +Inf among them; True would pass as 1.
    if not {type(value) for value in values} <= {str, int, float}:
        raise TypeError("no number")
    return np.array([float(value) for value in values], dtype=np.float64)


def _labels(each: Any) -> Labels:
    if not isinstance(each, dict) or not all(type(value) is str for value in each.values()):
        raise TypeError("no label set")
    return each


def _text(each: object) -> str:
    if not isinstance(each, str):
        raise TypeError("no text")
    return each


def _list(each: Any) -> list[Any]:
    if not isinstance(each, list):
        raise TypeError("no list")
    return each
