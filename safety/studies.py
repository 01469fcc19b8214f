"""The policies that ship for studies: a suggestion is tried by whoever asked, and moves nothing."""

from safety.limits import Level, Range, Relation
from safety.open_ends import OPEN_INTERVAL
from safety.policy import FamilyPolicy
from safety.recipes import Constant


def study_policy() -> FamilyPolicy:
    """Let nothing leave that is not a number."""
    otherwise = {"expected_improvement": 0.0, **OPEN_INTERVAL}
    return FamilyPolicy(
        inputs=(),
        outputs=tuple(otherwise),
        ranges=(
            Range(
                field="expected_improvement",
                low=0,
                level=Level.CRITICAL,
                message="An expected improvement cannot be negative.",
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
        fallback=tuple(Constant(field=name, value=value) for name, value in otherwise.items()),
    )
