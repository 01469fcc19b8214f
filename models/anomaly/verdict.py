"""What a gate says of a deployment, in a word: it needs no detector to say so."""

from typing import Literal

Verdict = Literal["changed", "unchanged", "undecided", "changed before"]
_SURE = 0.9


def verdict_of(probability: float, before: float) -> Verdict:
    """Say it of the probability that the regime changed, and that it had changed before."""
    if probability >= _SURE:
        return "changed"
    if before >= _SURE:
        return "changed before"
    return "unchanged" if probability <= 1 - _SURE else "undecided"
