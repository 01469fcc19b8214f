"""Makes an example plainer: the shortest numbers with which it still shows what it shows."""

import math
from collections.abc import Callable, Iterator

from safety.proofs.prover import Example


def plainer(example: Example, shows: Callable[[Example], bool]) -> Example:
    """Shorten one number after the other, for as long as the example holds."""
    for name, value in example.items():
        for shorter in _shorter(value):
            tried = example | {name: shorter}
            if shorter != value and shows(tried):
                example = tried
                break
    return example


def _shorter(value: float) -> Iterator[float]:
    if not math.isfinite(value):
        return
    yield 0.0
    yield 1.0
    for digits in (1, 2, 3, 4, 6, 9):
        exponent = math.floor(math.log10(abs(value))) if value else 0
        step = 10.0 ** (exponent - digits + 1)
        for rounded in (math.floor(value / step), math.ceil(value / step)):
            yield float(f"{rounded * step:.{digits}g}")
