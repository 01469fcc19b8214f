"""The policy that ships for extreme events: numbers that hold together, or what was seen."""

from safety.limits import Level, Range, Relation
from safety.open_ends import FARTHEST
from safety.policy import FamilyPolicy
from safety.recipes import Constant, Multiple, Recipe

# Of a tail that nobody has fitted, nothing better is known than that it may or may not go on.
_OPEN = 0.5


def extremes_policy() -> FamilyPolicy:
    return FamilyPolicy(
        inputs=(),
        outputs=(
            "threshold",
            "scale",
            "exceedance_probability",
            "value_at_risk",
            "lower",
            "upper",
        ),
        ranges=(
            Range(
                field="scale",
                low=0,
                level=Level.CRITICAL,
                message="A spread cannot be negative.",
            ),
            Range(
                field="exceedance_probability",
                low=0,
                high=1,
                level=Level.CRITICAL,
                message="A probability lies in [0, 1].",
            ),
        ),
        relations=(
            Relation(
                lesser="lower",
                greater="upper",
                level=Level.UNSAFE,
                message="An interval's ends may not cross.",
            ),
        ),
        fallback=_fallback(),
    )


def _fallback() -> tuple[Recipe, ...]:
    """Answer by quantiles of the values that were sent; without any, by an open interval."""
    return (
        _seen("threshold", "seen_95", 0.0),
        Constant(field="scale", value=0.0),
        Constant(field="exceedance_probability", value=_OPEN),
        _seen("value_at_risk", "seen_99", 0.0),
        _seen("lower", "seen_95", -FARTHEST),
        Constant(field="upper", value=FARTHEST),
    )


def _seen(field: str, of: str, otherwise: float) -> Multiple:
    return Multiple(
        field=field, of=of, times=1.0, otherwise=otherwise, low=-FARTHEST, high=FARTHEST
    )
