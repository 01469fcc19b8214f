"""Deploys of the user's platform, as its telemetry marks them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.timeline.event import Event


def deploys(
    source: str, ts: NDArray[np.int64], entity: NDArray[Any], deploy: NDArray[np.int8]
) -> list[Event]:
    """Make an event of each interval that a deploy began in, as the columns of telemetry tell.

    The same interval, appended again, makes the same event.
    """
    return [
        Event("deploy", float(ts[at]), str(entity[at]), source) for at in np.flatnonzero(deploy)
    ]
