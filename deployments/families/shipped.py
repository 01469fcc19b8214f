"""The families that this release serves."""

from deployments.families.bandits import BANDIT, EVALUATE, FEEDBACK
from deployments.families.capacity import CAPACITY
from deployments.families.extremes import EXTREMES
from deployments.families.family import Family
from deployments.families.streams import ANOMALY, REGIME
from deployments.families.studies import STUDY, TELL
from deployments.families.tail import TAIL

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        TAIL,
        EXTREMES,
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
