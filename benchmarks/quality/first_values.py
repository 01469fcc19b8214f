"""Change points among the first values of new streams: false ones, and those that are there.

python -m benchmarks.quality.first_values
"""

import numpy as np

from benchmarks.quality import null_streams, young_streams
from models.anomaly.bocpd import RegimeBank
from models.protocols import FloatArray

STREAMS, LENGTH, LEARNING, SOON = 400, 48, 16, 4


CHOSEN_ON = (
    null_streams.white_noise,
    null_streams.heavy_tails,
    null_streams.autoregression,
    null_streams.lognormal,
    null_streams.rare_counts,
    null_streams.few_levels,
    null_streams.bursts,
    null_streams.volatile,
    young_streams.exponential,
    young_streams.cauchy,
    young_streams.half_zeros,
    young_streams.counts,
    young_streams.correlated_counts,
    young_streams.moving_average,
    young_streams.random_walk,
    young_streams.sinusoid,
    young_streams.trend,
    young_streams.constant_then_noise,
)
HELD_OUT = (
    young_streams.gamma,
    young_streams.latencies,
    young_streams.coins,
    young_streams.alternating,
    young_streams.correlated_tails,
    young_streams.steep_trend,
)
"""Looked at once, when the rule was fixed."""


def announced(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give (steps, streams): where a change is announced, and where the regime began."""
    bank = RegimeBank()
    slots = np.array([bank.open() for _ in range(values.shape[1])])
    answers = [bank.advance(slots, row[:, None]) for row in values]
    return np.array([a.change_point for a in answers]), np.array([a.start for a in answers])


def false_changes(draw: null_streams.Draw) -> None:
    found, _ = announced(draw(LENGTH, STREAMS, np.random.default_rng(5)))
    first, later = found[:LEARNING].any(axis=0).mean(), found[LEARNING:].any(axis=0).mean()
    parts = f"first {LEARNING}: {first:.3f}   next {LENGTH - LEARNING}: {later:.3f}"
    print(f"  {draw.__name__:20s} {parts}")


def true_changes(size: int, at: int) -> None:
    values = np.random.default_rng(9).standard_normal((LENGTH, STREAMS))
    values[at:] += size
    found, start = announced(values)
    soon, ever = found[at : at + SOON].any(axis=0).mean(), found[at:].any(axis=0)
    delay = np.argmax(found[at:], axis=0)[ever] + 1
    usual = f"{np.median(delay):.0f}" if ever.any() else "-"
    kept = (np.abs(start[40] - at) <= 1).mean()
    shares = f"{soon:.2f}, ever {ever.mean():.2f}, usually with value {usual}; {kept:.2f}"
    print(f"  {size:2d} sd after {at:2d} values: {shares}")


def main() -> None:
    print(f"Share of {STREAMS} streams without a change that announce one")
    for draw in CHOSEN_ON:
        false_changes(draw)
    print("The same of kinds on which the rule was not chosen")
    for draw in HELD_OUT:
        false_changes(draw)
    print(f"Shifts in white noise: announced within {SOON} values; still the regime at value 40")
    for at in (4, 8, 12):
        for size in (4, 8, 20):
            true_changes(size, at)


if __name__ == "__main__":
    main()
