"""The policy that serve_config.yaml names: Serve's controller asks it several times a second.

It is one for the whole application, because only together do its deployments show who waits for
whom: rows wait in the gateways' lanes for a stage, and it is the stage that needs another replica.
Serve keeps each deployment's bounds, and waits its delays before it does what is asked here; but
what finds no place is given up at once.

Serve's own policy counts the calls that pass its handles. In the profile fast none do, and in both
a lane lets a few batches through and keeps the others (docs/decisions/replicas-by-waiting.md).
"""

import logging
import os
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from deployments.runtime import ray_internals

# The module, not what it holds: Serve copies that for each policy that it is handed.
from deployments.runtime.autoscaling import pending
from deployments.runtime.autoscaling.room import ROOM, take
from deployments.runtime.autoscaling.rule import Seen, enough, grows, rests
from deployments.runtime.autoscaling.signals import BUSY, RESERVED, SPARE, WAIT, wait_for

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext

# Reports of each replica that are looked at: of one every metrics_interval_s, some seconds in all,
# which one slow batch does not fill.
RECENT = 2
# With less than this share of a core to spare, another replica would take from those there are.
LEAST_SPARE_CORES = 0.2
# Set where Ray adds a node for what finds no place.
NODES_COME_VARIABLE = "BALLAST_NODES_COME"

# Of the controller, in whose log it stands beside what Serve does of it.
log = logging.getLogger("ray.serve")

# By the name of a figure, then by replica: points with a value each, in order.
Figures = Mapping[str, Mapping[Any, Iterable[Any]]]
# Stands for a deployment.
Key = TypeVar("Key", bound=Hashable)


def by_waiting(
    contexts: Mapping[Key, "AutoscalingContext"],
) -> tuple[dict[Key, int], dict[Key, dict[str, Any]]]:
    """Ask for one replica more where what comes waits and there is room, or one less at rest."""
    if all(map(_is_held, contexts.values())):
        return _held(contexts), {}
    figures = {key: context.raw_metrics or {} for key, context in contexts.items()}
    seen = {
        key: Seen(
            running=context.current_num_replicas,
            wanted=context.target_num_replicas,
            busy_cores=sum(_recent(figures[key], BUSY)),
            wait_s=_longest_wait(context.deployment_name, figures[key], figures.values()),
        )
        for key, context in contexts.items()
    }
    standing = {
        key: pending.PENDING.look(key, _asked(context, figures[key]))
        for key, context in contexts.items()
    }
    wanted: dict[Key, int] = {}
    for key, context in contexts.items():
        wanted[key] = seen[key].wanted - int(rests(seen[key]))
        if (kept := _kept(context, seen[key], standing[key])) < seen[key].wanted:
            wanted[key] = kept
            ray_internals.decide_at_once(context)
    growing = {
        key: standing[key].cpus
        for key, each in sorted(seen.items(), key=lambda item: -item[1].wait_s)
        if grows(each) and each.wanted < contexts[key].capacity_adjusted_max_replicas
    }
    spare = max((max(_recent(each, SPARE), default=0.0) for each in figures.values()), default=0.0)
    for key in _with_room(growing, spare, standing.values()):
        wanted[key] += 1
    for key, number in wanted.items():
        pending.PENDING.decide(key, number)
    return wanted, {}


def _asked(context: "AutoscalingContext", figures: Figures) -> pending.Asked:
    return pending.Asked(
        running=context.current_num_replicas,
        wanted=context.target_num_replicas,
        least=context.capacity_adjusted_min_replicas,
        cpus=max(_recent(figures, RESERVED), default=0.0),
    )


def _is_held(context: "AutoscalingContext") -> bool:
    """Tell whether its replicas are as many as both of its bounds ask for."""
    bounds = {context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas}
    return bounds == {context.target_num_replicas}


def _held(contexts: Mapping[Key, "AutoscalingContext"]) -> dict[Key, int]:
    """Leave everything as it is; no figure is even added up, but who is missing is remembered."""
    wanted = {key: context.target_num_replicas for key, context in contexts.items()}
    for key, context in contexts.items():
        pending.PENDING.look(key, _asked(context, {}))
        pending.PENDING.decide(key, wanted[key])
    return wanted


def _longest_wait(stage: str, own: Figures, all_figures: Iterable[Figures]) -> float:
    """Give how long the replicas let others wait, or rows wait for them in some gateway's lanes."""
    for_it = wait_for(stage)
    in_lanes = (wait for each in all_figures for wait in _recent(each, for_it))
    return max([*_recent(own, WAIT), *in_lanes], default=0.0)


def _recent(figures: Figures, name: str) -> list[float]:
    """Give the mean of each replica's last reports of one figure."""
    last = [
        [float(point.value) for point in points][-RECENT:]
        for points in figures.get(name, {}).values()
    ]
    return [sum(values) / len(values) for values in last if values]


def _kept(context: "AutoscalingContext", seen: Seen, standing: pending.Standing) -> int:
    """Give how many of the wanted replicas stay so now, whatever is decided for later.

    None that finds no place stays, and none that was there only for a lower bound of before.
    """
    least = context.capacity_adjusted_min_replicas
    kept = seen.wanted
    if standing.in_doubt and kept > least:
        kept = max(kept - _without_place(standing), least)
        if kept < seen.wanted:
            log.warning(
                "%s: %d of %d replicas find no place, for no node has %g CPU free for each; they "
                "are no longer asked for",
                context.deployment_name, seen.wanted - kept, seen.wanted, standing.cpus,
            )  # fmt: skip
    if standing.lowered_by:
        kept = max(min(kept, enough(seen)), kept - standing.lowered_by, least)
    return kept


def _without_place(standing: pending.Standing) -> int:
    """Count those in doubt for which no node has room; none where nobody says what is free."""
    if os.environ.get(NODES_COME_VARIABLE) or (free := ROOM.free_cpus()) is None:
        return 0
    return sum(not take(free, standing.cpus) for _ in range(standing.in_doubt))


def _with_room(
    growing: Mapping[Key, float], spare_cores: float, missing: Iterable[pending.Standing]
) -> Iterable[Key]:
    """Give those who find a place, and a processor that is not at its limit; in this order."""
    if not growing or os.environ.get(NODES_COME_VARIABLE):
        yield from growing
        return
    if spare_cores < LEAST_SPARE_CORES:
        return
    if (free := ROOM.free_cpus()) is None:
        return
    # It may be from before these took their places.
    for each in missing:
        for _ in range(each.coming + each.in_doubt):
            if not take(free, each.cpus):
                break
    yield from (key for key, cpus in growing.items() if take(free, cpus))
