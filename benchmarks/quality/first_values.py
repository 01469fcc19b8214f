"""Change points among the first values of new streams: false ones, and those that are there.

python -m benchmarks.quality.first_values
"""

import numpy as np

from benchmarks.quality import null_streams
from models.anomaly.bocpd import RegimeBank
from models.protocols import FloatArray

STREAMS, LENGTH, LEARNING, SOON = 400, 48, 16, 4
NULLS = (
    null_streams.white_noise,
    null_streams.heavy_tails,
    null_streams.autoregression,
    null_streams.lognormal,
    null_streams.rare_counts,
    null_streams.few_levels,
    null_streams.bursts,
)


def announced(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give (steps, streams): where a change is announced, and where the regime began."""
    bank = RegimeBank()
    slots = np.array([bank.open() for _ in range(values.shape[1])])
    answers = [bank.advance(slots, row[:, None]) for row in values]
    return np.array([a.change_point for a in answers]), np.array([a.start for a in answers])


def main() -> None:
    print(f"Share of {STREAMS} streams without a change that announce one")
    for draw in NULLS:
        found, _ = announced(draw(LENGTH, STREAMS, np.random.default_rng(5)))
        first, later = found[:LEARNING].any(axis=0).mean(), found[LEARNING:].any(axis=0).mean()
        parts = f"first {LEARNING}: {first:.3f}   next {LENGTH - LEARNING}: {later:.3f}"
        print(f"  {draw.__name__:16s} {parts}")
    print(f"Shifts in white noise: announced within {SOON} values; still the regime at value 40")
    for at in (4, 8, 12):
        for size in (4, 8, 20):
            values = np.random.default_rng(9).standard_normal((LENGTH, STREAMS))
            values[at:] += size
            found, start = announced(values)
            soon = found[at : at + SOON].any(axis=0).mean()
            kept = (np.abs(start[40] - at) <= 1).mean()
            print(f"  {size:2d} sd after {at:2d} values: {soon:.2f} {kept:.2f}")


if __name__ == "__main__":
    main()
