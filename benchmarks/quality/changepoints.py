"""Change points of the Turing Change Point Dataset beside van den Burg and Williams 2020.

Finished series go through the filter that streams are served by (`models.anomaly.bocpd`). Default
settings are held to their published scores. The rule of `bocpd_rule`, which sees no labels and is
not served, is held to the mean of the published default scores; beside it stand those of an oracle
that chose settings by the labels. F1 has a margin of 5, and cover is the overlap of each
annotated segment with the best predicted one; every annotator counts the same.
"""

import gzip
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quality.bocpd_rule import segment_by_rule
from benchmarks.quality.row import Row
from benchmarks.quality.segmentation import segment

PUBLISHED, MEAN = "van den Burg and Williams 2020", "mean of the published defaults"
CLOSE = 0.02
MARGIN = 5
WHOLE_WELL_LOG = 4_050
SCORES = ("f1", "cover")
Annotations = Mapping[str, Sequence[int]]


def run(data_dir: Path) -> list[Row]:
    """Measure everything; takes some seconds."""
    folder = data_dir / "changepoints"
    with gzip.open(folder / "series.json.gz") as file:
        series = {name: values_of(given) for name, given in json.load(file).items()}
    annotations = json.loads((folder / "annotations.json").read_text())
    published = pd.read_csv(folder / "published_scores.csv").set_index("dataset")
    names = [name for name in published.index if name in series]
    scores = {name: _scored(series[name], annotations[name]) for name in names}
    return [
        *_defaults(scores, published),
        *_by_rule(scores, published.loc[names]),
        *_speed(series["well_log"]),
    ]


def values_of(given: Mapping[str, Any]) -> Any:
    """Give (observations, dimensions); what is missing is taken as what came before."""
    columns = [column["raw"] if isinstance(column, dict) else column for column in given["series"]]
    table = pd.DataFrame(np.array(columns, dtype=float).T)
    return table.ffill().bfill().to_numpy()


def _scored(values: Any, annotations: Annotations) -> dict[str, tuple[float, float]]:
    found = {"default": segment(values).starts, "rule": segment_by_rule(values).starts}
    count = len(values)
    return {
        settings: (f1(annotations, starts.tolist()), cover(annotations, starts.tolist(), count))
        for settings, starts in found.items()
    }


def _defaults(scores: Any, published: pd.DataFrame) -> Iterator[Row]:
    for name, by_settings in scores.items():
        for what, ours in zip(SCORES, by_settings["default"], strict=True):
            theirs = float(published.loc[name, f"bocpd_default_{what}"])
            met = abs(ours - theirs) <= CLOSE
            yield Row(f"BOCPD default, {name}, {what}", ours, theirs, PUBLISHED, met)


def _by_rule(scores: Any, published: pd.DataFrame) -> Iterator[Row]:
    for i, what in enumerate(SCORES):
        for name, by_settings in scores.items():
            oracle = float(published.loc[name, f"bocpd_oracle_{what}"])
            yield Row(
                f"BOCPD by rule, {name}, {what}",
                by_settings["rule"][i],
                oracle,
                "oracle, chosen by labels: to compare",
                met=True,
            )
        mean = float(np.mean([by_settings["rule"][i] for by_settings in scores.values()]))
        theirs = float(published[f"bocpd_default_{what}"].mean())
        yield Row(f"BOCPD by rule, mean {what}", mean, theirs, MEAN, mean > theirs)


def _speed(well_log: Any) -> Iterator[Row]:
    """Take the six-fold thinned well log six times over: as many points as the whole one has."""
    values = np.resize(well_log[:, 0], WHOLE_WELL_LOG)
    segment(values[:100])  # compiled by now
    began = time.perf_counter()
    segment(values)
    seconds = time.perf_counter() - began
    yield Row(f"{WHOLE_WELL_LOG} points, seconds", seconds, 1.0, "at most", seconds < 1)


def f1(annotations: Annotations, predicted: Sequence[int]) -> float:
    """Weigh precision against the union of annotators and their mean recall; 0 counts as found."""
    by_annotator = [{0, *marks} for marks in annotations.values()]
    found = {0, *predicted}
    precision = len(_matched(set().union(*by_annotator), found)) / len(found)
    recall = np.mean([len(_matched(marks, found)) / len(marks) for marks in by_annotator])
    return float(2 * precision * recall / (precision + recall))


def _matched(marks: set[int], found: set[int]) -> set[int]:
    """Give the marks that have a prediction within the margin, each prediction used once."""
    left, matched = set(found), set[int]()
    for mark in sorted(marks):
        near = [(abs(mark - at), at) for at in left if abs(mark - at) <= MARGIN]
        if near:
            left.remove(min(near)[1])
            matched.add(mark)
    return matched


def cover(annotations: Annotations, predicted: Sequence[int], count: int) -> float:
    parts = _parts(predicted, count)
    return float(np.mean([_covered(_parts(m, count), parts, count) for m in annotations.values()]))


def _covered(true: list[range], parts: list[range], count: int) -> float:
    return sum(len(one) * max(_jaccard(one, part) for part in parts) for one in true) / count


def _jaccard(one: range, other: range) -> float:
    shared = max(0, min(one.stop, other.stop) - max(one.start, other.start))
    return shared / (len(one) + len(other) - shared)


def _parts(starts: Sequence[int], count: int) -> list[range]:
    return [range(a, b) for a, b in pairwise([0, *sorted(set(starts) - {0}), count])]
