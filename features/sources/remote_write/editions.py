"""Where the releases of Prometheus differ in what they make of the same samples."""

from typing import NamedTuple


class Edition(NamedTuple):
    """What a release does at the edges of a window, and with buckets that are nearly equal."""

    # Whether a sample that lies on the beginning of a window is in it.
    left_closed: bool
    # Whether the point where a counter was zero is looked for before it is judged how far the
    # first sample is from the beginning, or after.
    zero_first: bool
    # Up to this much of itself a bucket may differ from the one before and count as the same.
    same_bucket: float


# By the major release; 2 is as of 2.42, which Debian 12 has.
EDITIONS = {
    2: Edition(left_closed=True, zero_first=True, same_bucket=0.0),
    3: Edition(left_closed=False, zero_first=False, same_bucket=1e-12),
}
