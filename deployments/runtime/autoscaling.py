"""Scales a deployment by how busy its processes are.

Serve's own policy counts the requests that it routes, and neither the wire nor the shortcut passes
there. What both cost shows in the processor time of the replicas. In serve_config.yaml:

    autoscaling_config:
      min_replicas: 1
      max_replicas: 8
      policy: {policy_function: "deployments.runtime.autoscaling:by_busy_share"}
"""

import math
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext

METRIC = "busy_share"
# Above this a replica's queue grows faster than its work; below it another one buys little.
TARGET_SHARE = 0.6


class BusyMeter:
    """Tells which share of one core a process has used since it was last asked."""

    def __init__(self) -> None:
        self._cpu, self._at = time.process_time(), time.monotonic()

    def share(self) -> float:
        cpu, at = time.process_time(), time.monotonic()
        share = (cpu - self._cpu) / max(at - self._at, 1e-9)
        self._cpu, self._at = cpu, at
        return share


def by_busy_share(context: "AutoscalingContext") -> tuple[int, dict[str, Any]]:
    """Ask for as many replicas as bring the mean share to its target; Serve keeps the bounds."""
    shares = (context.aggregated_metrics or {}).get(METRIC, {})
    if not shares:
        return context.target_num_replicas, {}
    return replicas_for(sum(shares.values())), {}


def replicas_for(total_share: float) -> int:
    return max(1, math.ceil(total_share / TARGET_SHARE))
