"""The families that this release serves, and the columns that they have."""

from deployments.api.anomaly import ANOMALY
from deployments.api.bandit_evaluation import EVALUATE
from deployments.api.bandit_feedback import FEEDBACK
from deployments.api.bandits import BANDIT
from deployments.api.capacity import CAPACITY
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.extremes import EXTREMES
from deployments.api.forecast import FORECAST
from deployments.api.regime_detection import REGIME
from deployments.api.studies import STUDY, TELL
from deployments.api.tail import TAIL
from safety.proofs.fields import ColumnsKnown
from safety.shipped import default_policy

FAMILIES: dict[str, InferenceEndpoint] = {
    family.name: family
    for family in (
        TAIL,
        EXTREMES,
        FORECAST,
        CAPACITY,
        REGIME,
        ANOMALY,
        BANDIT,
        FEEDBACK,
        EVALUATE,
        STUDY,
        TELL,
    )
}


def known_columns() -> dict[str, ColumnsKnown]:
    """Give for each family what fills its rows, and what its model answers."""
    shipped = default_policy()
    return {
        name: ColumnsKnown(
            given=tuple(dict.fromkeys((*family.given, *family.features))),
            answered=shipped.family(name).outputs,
            ordered=family.ordered,
        )
        for name, family in FAMILIES.items()
    }
