"""What follows of an entity's metrics from others, for training and serving alike."""

import numpy as np

from features.telemetry.columns import Floats


def load_of(load: Floats, cpu: Floats, active_workers: Floats) -> Floats:
    """Give the load; where it was not measured, the share of processor that its workers use.

    A busy worker's load is about its share of processor. Without a count of workers nobody knows
    of which workers the share is, so the load stays unknown then.
    """
    stands_in = np.isnan(load) & np.isfinite(cpu) & (np.nan_to_num(active_workers) > 0)
    derived: Floats = np.where(stands_in, cpu, load)
    return derived
