"""How the end of an interval says that it claims nothing: as a number, very far out.

Columns and policies hold no infinity: safety takes one for a number that went wrong.
"""

FARTHEST = 1e300
# Nothing that is measured comes near it: an end from here on is open.
OPEN_FROM = 1e299

OPEN_INTERVAL = {"lower": -FARTHEST, "upper": FARTHEST}


def claims_below(lower: float) -> bool:
    return lower > -OPEN_FROM


def claims_above(upper: float) -> bool:
    return upper < OPEN_FROM
