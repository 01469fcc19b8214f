"""The policies that ship for streams: regimes and anomalies, which inform and do not act."""

from safety.limits import Level, Range, Relation
from safety.open_ends import OPEN_INTERVAL
from safety.policy import FamilyPolicy
from safety.recipes import Constant

_PROBABILITY = "A probability lies in [0, 1]."


def regime_policy() -> FamilyPolicy:
    """Let nothing leave that is not a number: an observer's word moves nothing by itself."""
    outputs = ("change_probability", "run_length", "mean", "sd", "p_value", "lower", "upper")
    # Without numbers that hold, nothing is claimed: no change, and an interval without bounds.
    otherwise = dict.fromkeys(outputs, 0.0) | {"p_value": 1.0, **OPEN_INTERVAL}
    return FamilyPolicy(
        inputs=(),
        outputs=outputs,
        whole=("run_length",),
        ranges=(
            _probability("change_probability"),
            _probability("p_value"),
            Range(field="sd", low=0, level=Level.CRITICAL, message="A spread cannot be negative."),
            Range(
                field="run_length",
                low=0,
                level=Level.CRITICAL,
                message="A run length cannot be negative.",
            ),
        ),
        relations=(_ordered(),),
        fallback=tuple(Constant(field=name, value=value) for name, value in otherwise.items()),
    )


def anomaly_policy() -> FamilyPolicy:
    otherwise = {"score": 0.0, "p_value": 1.0, "lower": 0.0, "upper": 1.0}
    return FamilyPolicy(
        inputs=(),
        outputs=tuple(otherwise),
        ranges=(
            _probability("p_value"),
            _probability("lower"),
            _probability("upper"),
            Range(
                field="score", low=0, level=Level.CRITICAL, message="A score cannot be negative."
            ),
        ),
        relations=(_ordered(),),
        fallback=tuple(Constant(field=name, value=value) for name, value in otherwise.items()),
    )


def _probability(field: str) -> Range:
    return Range(field=field, low=0, high=1, level=Level.CRITICAL, message=_PROBABILITY)


def _ordered() -> Relation:
    return Relation(
        lesser="lower",
        greater="upper",
        level=Level.UNSAFE,
        message="An interval's ends may not cross.",
    )
