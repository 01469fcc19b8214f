"""Makes an example plainer: the shortest numbers with which it still shows what it shows."""

import math
from collections.abc import Callable, Iterator

Example = dict[str, float]

# Tried before a number is shortened digit by digit.
_SHORTEST = (0.0, 1.0, -1.0, 2.0, 10.0, 100.0)
_DIGITS = (1, 2, 3, 4, 6, 9)


def plainer(example: Example, shows: Callable[[Example], bool]) -> Example:
    """Shorten one number after the other, for as long as the example shows what it did."""
    # Twice: a number may have been held up by one that stands after it.
    for name in (*example, *example):
        for shorter in _shorter(example[name]):
            tried = example | {name: shorter}
            if shows(tried):
                example = tried
                break
    return example


def _shorter(value: float) -> Iterator[float]:
    """Give numbers with fewer digits than a value that has many, the shortest first."""
    if not math.isfinite(value):
        return
    for short in _SHORTEST:
        if short == value:
            return
        yield short
    exponent = math.floor(math.log10(abs(value)))
    for digits in _DIGITS:
        step = 10.0 ** (exponent - digits + 1)
        if step == 0:  # of a number this small there is nothing shorter
            return
        for rounded in (math.floor(value / step), math.ceil(value / step)):
            shorter = float(f"{rounded * step:.{digits}g}")
            if shorter == value:
                return
            if math.isfinite(shorter):
                yield shorter
