"""Says which deployments are short of replicas, what they wait for, and what to change."""

from collections.abc import Mapping
from typing import Any

from deployments.runtime.platform_health import DeploymentHealth

ON_ITS_WAY = ("STARTING", "UPDATING", "RECOVERING")
# It names no file: what runs may be of the file that `ballast up` was given, or deployed since.
EDIT = "lower num_cpus, min_replicas or num_replicas in the configuration that was deployed"


def deployments_health(
    details: Mapping[str, Any], total_cpus: float, free_cpus: float
) -> list[DeploymentHealth]:
    """Judge what Serve's controller tells of every deployment, by name."""
    deployments = _deployments(details)
    # A rollout begins the new before the old has left: those CPUs are about to be free.
    some_leave = any(
        _state(replica) == "STOPPING"
        for _, deployment in deployments
        for replica in deployment.get("replicas") or []
    )
    found = [
        _health(name, deployment, total_cpus, free_cpus, some_leave=some_leave)
        for name, deployment in deployments
    ]
    return sorted(found, key=lambda each: each.name)


def some_lack_replicas(details: Mapping[str, Any]) -> bool:
    """Tell whether a deployment may wait for a CPU; else nobody need ask which are free."""
    return any(_running(each) < _wanted(each) for _, each in _deployments(details))


def lasting(
    found: list[DeploymentHealth], before: list[DeploymentHealth]
) -> list[DeploymentHealth]:
    """Hold a complaint back until it is seen twice: Ray knows late which CPUs were given back."""
    again = {each.name for each in before if each.waits_for and not each.starting}
    return [
        each
        if each.starting or not each.waits_for or each.name in again
        else each.model_copy(update={"waits_for": "it is starting", "starting": True})
        for each in found
    ]


def short(deployments: list[DeploymentHealth]) -> dict[str, str]:
    """Give a sentence for each deployment that has fewer replicas than it should, by its name."""
    return {
        each.name: f"{each.name}: {each.running} of {each.wanted} replicas run; {each.waits_for}"
        for each in deployments
        if each.waits_for
    }


def in_a_line(deployments: list[DeploymentHealth]) -> str:
    """Say what is still awaited: who needs a person in full, who only starts by name."""
    starting = [each.name for each in deployments if each.starting and not each.running]
    stuck = [each for each in deployments if each.waits_for and not each.starting]
    sentences = list(short(stuck).values())
    if starting:
        sentences.append(f"starting {', '.join(starting)}")
    return "; ".join(sentences) or "starting"


def share_begun(deployments: list[DeploymentHealth]) -> float:
    """Tell which share of them answers."""
    return sum(_has_begun(each) for each in deployments) / max(len(deployments), 1)


def all_begun(deployments: list[DeploymentHealth]) -> bool:
    """Tell whether each has a replica that answers; it is not asked for more to serve."""
    return bool(deployments) and all(_has_begun(each) for each in deployments)


def _has_begun(deployment: DeploymentHealth) -> bool:
    return deployment.running >= min(1, deployment.wanted)


def _deployments(details: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        each
        for application in details.get("applications", {}).values()
        for each in application.get("deployments", {}).items()
    ]


def _wanted(deployment: Mapping[str, Any]) -> int:
    return int(deployment.get("target_num_replicas") or 0)


def _running(deployment: Mapping[str, Any]) -> int:
    return sum(_state(each) == "RUNNING" for each in deployment.get("replicas") or [])


def _health(
    name: str,
    deployment: Mapping[str, Any],
    total_cpus: float,
    free_cpus: float,
    *,
    some_leave: bool,
) -> DeploymentHealth:
    replicas = deployment.get("replicas") or []
    wanted, running = _wanted(deployment), _running(deployment)
    health = DeploymentHealth(name=name, wanted=wanted, running=running)
    if running >= wanted:
        return health
    unplaced = sum(not each.get("node_id") for each in replicas if _state(each) in ON_ITS_WAY)
    cpus = float((deployment.get("required_resources") or {}).get("CPU", 0.0))
    failure = str(deployment.get("message") or "").strip()
    if "fail" in failure.lower():
        health.waits_for = f"its replicas fail: {one_line(failure)}"
    elif unplaced and cpus > free_cpus + 1e-9 and some_leave:
        health.waits_for = "it waits for the replicas that are ending"
        health.starting = True
    elif unplaced and cpus > free_cpus + 1e-9 and running < _asked_for(deployment, wanted):
        health.waits_for = (
            f"{unplaced} wait for {cpus:g} CPU each, and only {max(free_cpus, 0):.2g} of "
            f"this machine's {total_cpus:g} CPUs are free: {EDIT}"
        )
    else:
        health.waits_for = "it is starting" if running == 0 else "the others are starting"
        health.starting = True
    return health


def _asked_for(deployment: Mapping[str, Any], wanted: int) -> int:
    """Give how many the file asks for; of more the autoscaling policy says whether they are needed.

    It gives up by itself what finds no place, and what has just found the last one looks the same.
    """
    scaling = (deployment.get("deployment_config") or {}).get("autoscaling_config") or {}
    return int(scaling.get("min_replicas") or wanted)


def one_line(message: str) -> str:
    """Give the first sentence, and the end of a traceback, which says what it was."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = lines[0].partition(". ")[0]
    return (first if len(lines) == 1 else f"{first} ... {lines[-1]}")[:400]


def _state(replica: Mapping[str, Any]) -> str:
    return str(getattr(replica.get("state"), "value", replica.get("state")))
