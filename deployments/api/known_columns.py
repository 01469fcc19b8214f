"""The columns that the families of this release have: what a policy is checked against."""

from deployments.api.shipped import FAMILIES
from safety.proofs.columns_known import ColumnsKnown
from safety.shipped import default_policy


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
