"""Chooses settings from a series alone: no labels, and the same rule for every series.

1. A lone spike is not a regime: it is set to the middle of itself and its neighbours.
2. What a regime is, a level or a trend, is what predicts the series better (Bayes factor).
3. Observations that repeat each other count for less: with lag-1 correlation rho of what is left
   when regimes are taken away, n of them say as much as n (1 - rho) / (1 + rho) independent ones
   (Bayley and Hammersley 1946). Splitting and measuring rho take turns until they agree.
"""

from dataclasses import replace

import numpy as np

from benchmarks.quality.segmentation import Segmentation, segment, series_of
from models.anomaly.bocpd_settings import BocpdSettings
from models.protocols import FloatArray, IntArray

_BROAD = BocpdSettings(kappa=0.1)  # a regime's mean may lie three of its sds off
_FIRST_WEIGHT, _LEAST_WEIGHT = 0.2, 0.1
_AGREED = 0.01
_ROUNDS = 4
_SPIKE = 4.0  # usual steps from one observation to the next
_SHORTEST = 4  # a regime shorter than this says nothing about correlation


def settings_for(values: FloatArray) -> BocpdSettings:
    """Choose settings for a series and those like it: for a stream, from its history."""
    return _chosen(without_spikes(series_of(values)))[0]


def segment_by_rule(values: FloatArray) -> Segmentation:
    """Split a series with the settings that the rule chooses for it."""
    return _chosen(without_spikes(series_of(values)))[1]


def without_spikes(series: FloatArray) -> FloatArray:
    """Set single observations that stand out from both neighbours to the median of the three."""
    if len(series) < _SHORTEST:
        return series
    steps = np.diff(series, axis=0)
    usual = 1.4826 * np.median(np.abs(steps - np.median(steps, axis=0)), axis=0)
    usual = np.where(usual > 0, usual, np.abs(steps).mean(axis=0))
    middle = np.median([series[:-2], series[1:-1], series[2:]], axis=0)
    calm = series.copy()
    calm[1:-1] = np.where(np.abs(series[1:-1] - middle) > _SPIKE * usual, middle, series[1:-1])
    return calm


def _chosen(series: FloatArray) -> tuple[BocpdSettings, Segmentation]:
    level, trend = _BROAD, replace(_BROAD, family="trend")
    better = segment(series, trend).log_evidence > segment(series, level).log_evidence
    settings = replace(trend if better else level, weight=_FIRST_WEIGHT)
    found = segment(series, settings)
    for _ in range(_ROUNDS):
        correlation = _correlation(_residuals(series, found.starts, with_trend=better))
        weight = max(_LEAST_WEIGHT, (1 - correlation) / (1 + correlation))
        if abs(weight - settings.weight) < _AGREED:
            break
        settings = replace(settings, weight=weight)
        found = segment(series, settings)
    return settings, found


def _residuals(series: FloatArray, starts: IntArray, *, with_trend: bool) -> list[FloatArray]:
    """Take its mean, or its line, away from each regime."""
    left = list[FloatArray]()
    for regime in np.split(series / np.maximum(series.std(axis=0), 1e-100), starts):
        if len(regime) < _SHORTEST:
            continue
        rest = regime - regime.mean(axis=0)
        if with_trend:
            time = np.arange(len(regime)) - (len(regime) - 1) / 2
            rest = rest - np.outer(time, time @ rest) / (time @ time)
        left.append(rest)
    return left


def _correlation(residuals: list[FloatArray]) -> float:
    together = sum(float((rest[1:] * rest[:-1]).sum()) for rest in residuals)
    alone = sum(float((rest * rest).sum()) for rest in residuals)
    return min(max(together / alone, 0.0), 0.999) if alone > 0 else 0.0
