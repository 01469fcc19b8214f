"""Which services are too fast for the buckets of their histogram, as a proposal shows it."""

from collections import defaultdict

from features.sources.prometheus.proposed import Proposal
from models.tail.buckets import Bucket, shown_within
from models.tail.requests import QUANTILES


def within_a_bucket(proposal: Proposal) -> dict[str, Bucket]:
    """Give the bucket of each service whose newest quantiles all lie within one."""
    quantiles: dict[str, dict[str, float]] = defaultdict(dict)
    for chosen in proposal.chosen:
        if chosen.metric in QUANTILES:
            for entity, value in chosen.newest.items():
                quantiles[entity][chosen.metric] = value
    found = {entity: shown_within(values) for entity, values in sorted(quantiles.items())}
    return {entity: bucket for entity, bucket in found.items() if bucket is not None}
