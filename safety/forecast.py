"""The policy that ships for forecasts of any series: numbers that hold together, or the last one.

A series may have any sign and size, so that no range is stated here; an operator may add one.
"""

from safety.limits import Level, Relation
from safety.open_ends import FARTHEST
from safety.policy import FamilyPolicy
from safety.recipes import Multiple


def forecast_policy() -> FamilyPolicy:
    return FamilyPolicy(
        inputs=(),
        outputs=("value", "lower", "upper"),
        relations=(
            Relation(
                lesser="lower",
                greater="upper",
                level=Level.UNSAFE,
                message="An interval's ends may not cross.",
            ),
        ),
        fallback=(
            _from("value", "last", 0.0),
            _from("lower", "last_lower", -FARTHEST),
            _from("upper", "last_upper", FARTHEST),
        ),
    )


def _from(field: str, of: str, otherwise: float) -> Multiple:
    return Multiple(
        field=field, of=of, times=1.0, otherwise=otherwise, low=-FARTHEST, high=FARTHEST
    )
