"""Which keys serve_config.yaml may have, and what each may be.

Serve passes over keys that it does not know, and judges the rest when the cluster runs. This looks
at the file before anything is started, and without Ray's import. Blocks that Ballast has no use for
are left to Serve.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any

OWN_APPLICATION = "deployments.app:app"
OWN_DEPLOYMENTS = (
    *("gateway", "features", "tail", "forecasting", "anomaly", "optimization", "safety"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be."""

    allowed: str
    holds: Callable[[Any], bool]

    def __or__(self, other: "Kind") -> "Kind":
        return Kind(
            f"{self.allowed} or {other.allowed}",
            lambda value: self.holds(value) or other.holds(value),
        )


Keys = Mapping[str, Kind]


def _whole_number(least: int, most: float = float("inf")) -> Kind:
    bounds = f"from {least} on" if most == float("inf") else f"from {least} to {most:g}"
    return Kind(
        f"a whole number {bounds}", lambda value: type(value) is int and least <= value <= most
    )


def _number(holds: Callable[[float], bool], allowed: str) -> Kind:
    return Kind(
        allowed,
        lambda value: type(value) in (int, float) and isfinite(value) and holds(value),
    )


def _word(*words: str) -> Kind:
    return Kind(" or ".join(words), lambda value: value in words)


COUNT = _whole_number(1)
COUNT_FROM_0 = _whole_number(0)
SHARE = _number(lambda value: value >= 0, "a number from 0 on")
POSITIVE = _number(lambda value: value > 0, "a number above 0")
PERCENTAGE = _number(lambda value: 0 <= value / 100 <= 1, "a number from 0 to 100")
TEXT = Kind("a text", lambda value: isinstance(value, str) and value != "")
SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
BLOCK = Kind("a block of keys", lambda value: isinstance(value, dict))
LIST = Kind("a list", lambda value: isinstance(value, list))
NOTHING = Kind("nothing", lambda value: value is None)

FILE: Keys = {
    "proxy_location": _word("EveryNode", "HeadOnly", "Disabled"),
    "http_options": BLOCK,
    "grpc_options": BLOCK,
    "controller_options": BLOCK | NOTHING,
    "logging_config": BLOCK | NOTHING,
    "tracing_config": BLOCK | NOTHING,
    "applications": LIST,
    "target_capacity": PERCENTAGE | NOTHING,
}
HTTP_OPTIONS: Keys = {
    "host": TEXT,
    "port": _whole_number(1, 65535),
    "root_path": Kind("a text", lambda value: isinstance(value, str)),
    "request_timeout_s": SHARE | NOTHING,
    "keep_alive_timeout_s": COUNT_FROM_0,
    **dict.fromkeys(
        ("ssl_keyfile", "ssl_certfile", "ssl_keyfile_password", "ssl_ca_certs"), TEXT | NOTHING
    ),
}
LOGGING: Keys = {
    "encoding": _word("JSON", "TEXT"),
    "log_level": TEXT | COUNT_FROM_0,
    "logs_dir": TEXT | NOTHING,
    "enable_access_log": SWITCH,
    "additional_log_standard_attrs": LIST,
}
APPLICATION: Keys = {
    "name": TEXT,
    "route_prefix": TEXT | NOTHING,
    "import_path": TEXT,
    "runtime_env": BLOCK,
    "deployments": LIST,
    "autoscaling_policy": BLOCK | NOTHING,
    "args": BLOCK,
    "logging_config": BLOCK | NOTHING,
    "external_scaler_enabled": SWITCH,
}
DEPLOYMENT: Keys = {
    "name": TEXT,
    "num_replicas": COUNT | _word("auto") | NOTHING,
    "max_ongoing_requests": COUNT,
    "max_queued_requests": COUNT | Kind("-1", lambda value: type(value) is int and value == -1),
    "backpressure_config": BLOCK,
    "user_config": BLOCK | NOTHING,
    "autoscaling_config": BLOCK | NOTHING,
    "graceful_shutdown_wait_loop_s": SHARE,
    "graceful_shutdown_timeout_s": SHARE,
    "health_check_period_s": POSITIVE,
    "health_check_timeout_s": POSITIVE,
    "ray_actor_options": BLOCK,
    "placement_group_bundles": LIST,
    "placement_group_strategy": TEXT,
    "placement_group_bundle_label_selector": LIST,
    "max_replicas_per_node": COUNT,
    "logging_config": BLOCK,
    "request_router_config": BLOCK,
    "gang_scheduling_config": BLOCK | NOTHING,
    "deployment_actors": LIST | NOTHING,
    "rolling_update_percentage": _number(lambda value: 0 < value <= 1, "a number above 0, up to 1"),
    "max_surge_percent": _whole_number(0, 100),
}
SCALING: Keys = {
    "min_replicas": COUNT_FROM_0,
    "initial_replicas": COUNT_FROM_0 | NOTHING,
    "max_replicas": COUNT,
    "target_ongoing_requests": POSITIVE | NOTHING,
    "metrics_interval_s": POSITIVE,
    "look_back_period_s": POSITIVE,
    "smoothing_factor": POSITIVE,
    "upscale_smoothing_factor": POSITIVE | NOTHING,
    "downscale_smoothing_factor": POSITIVE | NOTHING,
    "upscaling_factor": POSITIVE | NOTHING,
    "downscaling_factor": POSITIVE | NOTHING,
    "downscale_delay_s": SHARE,
    "downscale_to_zero_delay_s": SHARE | NOTHING,
    "upscale_delay_s": SHARE,
    "aggregation_function": TEXT,
    "policy": BLOCK,
}
POLICY: Keys = {
    "policy_function": TEXT,
    "policy_kwargs": BLOCK,
}
ACTOR: Keys = {
    "runtime_env": BLOCK,
    "num_cpus": SHARE | NOTHING,
    "num_gpus": SHARE | NOTHING,
    "memory": SHARE | NOTHING,
    "resources": BLOCK,
    "accelerator_type": TEXT | NOTHING,
    "label_selector": BLOCK | NOTHING,
    "fallback_strategy": LIST | NOTHING,
}


def faults(content: dict[Any, Any]) -> Iterator[str]:
    """Say of each fault where it is, what stands there and what is allowed."""
    yield from _of(content, FILE, "", needed=["applications"])
    yield from _of(content.get("http_options"), HTTP_OPTIONS, "http_options.")
    yield from _of(content.get("logging_config"), LOGGING, "logging_config.")
    for at, application in enumerate(_blocks(content, "applications")):
        label = f"application {application.get('name', at + 1)}: "
        yield from _of(application, APPLICATION, label, needed=["import_path"])
        yield from _of(application.get("logging_config"), LOGGING, f"{label}logging_config.")
        yield from _of(application.get("autoscaling_policy"), POLICY, f"{label}autoscaling_policy.")
        yield from _not_blocks(application.get("deployments"), f"{label}deployments")
        yield from _of_deployments(application)
    yield from _not_blocks(content.get("applications"), "applications")
    if content.get("applications") == []:
        yield "applications is empty: at least one is needed"


def _of_deployments(application: dict[str, Any]) -> Iterator[str]:
    names = [each.get("name") for each in _blocks(application, "deployments")]
    for at, deployment in enumerate(_blocks(application, "deployments")):
        name = names[at]
        label = f"deployment {name if isinstance(name, str) else at + 1}: "
        yield from _of(deployment, DEPLOYMENT, label, needed=["name"])
        yield from _of(deployment.get("ray_actor_options"), ACTOR, f"{label}ray_actor_options.")
        yield from _of(deployment.get("logging_config"), LOGGING, f"{label}logging_config.")
        yield from _of_scaling(deployment, label)
        yield from _of_policy(application, deployment, label)
        if not isinstance(name, str):
            continue
        if name in names[:at]:
            yield f"deployment {name} is listed twice: remove one"
        own = application.get("import_path") == OWN_APPLICATION
        if own and name not in OWN_DEPLOYMENTS:
            yield f"deployment {name} does not exist{_instead(name, OWN_DEPLOYMENTS)}"


def _of_scaling(deployment: dict[str, Any], label: str) -> Iterator[str]:
    scaling = deployment.get("autoscaling_config")
    wrong = list(_of(scaling, SCALING, f"{label}autoscaling_config."))
    yield from wrong
    if not isinstance(scaling, dict):
        return
    if isinstance(deployment.get("num_replicas"), int):
        yield (
            f"{label}num_replicas and autoscaling_config exclude each other: remove one; to hold a "
            "deployment at a number, give it as min_replicas and max_replicas"
        )
    if not wrong:
        yield from _of_bounds(scaling, label)


def _of_policy(
    application: dict[str, Any], deployment: dict[str, Any], label: str
) -> Iterator[str]:
    scaling = deployment.get("autoscaling_config")
    policy = scaling.get("policy") if isinstance(scaling, dict) else None
    if policy is None:
        return
    yield from _of(policy, POLICY, f"{label}autoscaling_config.policy.")
    if application.get("autoscaling_policy"):
        yield (
            f"{label}autoscaling_config.policy is never asked, for the application's "
            "autoscaling_policy decides for all: remove one"
        )


def _of_bounds(scaling: dict[str, Any], label: str) -> Iterator[str]:
    least, most = scaling.get("min_replicas", 1), scaling.get("max_replicas", 1)
    first = scaling.get("initial_replicas")
    if least > most:
        yield f"{label}autoscaling_config has min_replicas {least} above max_replicas {most}"
    elif first is not None and not least <= first <= most:
        yield (
            f"{label}autoscaling_config.initial_replicas is {first}; "
            f"allowed is {COUNT_FROM_0.allowed}, between {least} and {most}"
        )


def _of(found: Any, keys: Keys, label: str, needed: Collection[str] = ()) -> Iterator[str]:
    if not isinstance(found, dict):
        return  # the block around it says so
    for key, value in found.items():
        if key not in keys:
            yield f"{label}{key} is not a known key{_instead(str(key), keys)}"
        elif not keys[key].holds(value):
            shown = "empty" if value is None else repr(value)
            yield f"{label}{key} is {shown}; allowed is {keys[key].allowed}"
    for key in needed:
        if key not in found:
            yield f"{label}{key} is missing; allowed is {keys[key].allowed}"


def _instead(given: str, known: Collection[str]) -> str:
    near = get_close_matches(given, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; allowed are {', '.join(known)}"


def _blocks(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    inside = found.get(key)
    return [each for each in inside if isinstance(each, dict)] if isinstance(inside, list) else []


def _not_blocks(found: Any, label: str) -> Iterator[str]:
    for each in found if isinstance(found, list) else []:
        if not isinstance(each, dict):
            yield f"{label} has the entry {each!r}; allowed is {BLOCK.allowed}"
