"""Which replicas Serve starts anew when serve_config.yaml was edited, by Serve's own code.

Serve judges twice: by a hash over the whole application, whose change starts every deployment anew,
and by a version of each deployment.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve._private.application_state import override_deployment_info
from ray.serve._private.deploy_utils import get_app_code_version
from ray.serve._private.deployment_info import DeploymentInfo
from ray.serve._private.version import DeploymentVersion
from ray.serve.schema import ServeApplicationSchema

from deployments.app import app

SHIPPED = Path(__file__).parents[2] / "serve_config.yaml"
Content = dict[str, Any]


def shipped() -> Content:
    (found,) = yaml.safe_load(SHIPPED.read_text())["applications"]
    application: Content = found
    return application


def edited(name: str, **keys: object) -> Content:
    found = deepcopy(shipped())
    next(each for each in found["deployments"] if each["name"] == name).update(keys)
    return found


def scaling(**keys: object) -> Content:
    usual: Content = shipped()["deployments"][0]["autoscaling_config"]
    return usual | keys


def code_version(application: Content) -> str:
    version: str = get_app_code_version(ServeApplicationSchema.model_validate(application))
    return version


def versions(application: Content) -> dict[str, DeploymentVersion]:
    """Give what Serve compares of each deployment, as it would run by this file."""
    code = code_version(application)
    infos = override_deployment_info(
        _built(code), ServeApplicationSchema.model_validate(application)
    )
    return {
        name: DeploymentVersion(
            code_version=info.version,
            deployment_config=info.deployment_config,
            ray_actor_options=info.replica_config.ray_actor_options,
            placement_group_bundles=info.replica_config.placement_group_bundles,
            placement_group_strategy=info.replica_config.placement_group_strategy,
            max_replicas_per_node=info.replica_config.max_replicas_per_node,
            route_prefix=info.route_prefix,
        )
        for name, info in infos.items()
    }


def restarted(before: Content, after: Content) -> set[str]:
    old, new = versions(before), versions(after)
    return {name for name in old if old[name].requires_actor_restart(new[name])}


def _built(code: str) -> dict[str, DeploymentInfo]:
    """Give what Serve's build of the application leaves."""
    gateway = app._bound_deployment
    stages = [*gateway.init_args, *gateway.init_kwargs.values()]
    every = [gateway, *(each._bound_deployment for each in stages)]
    return {each.name: _info(each, code, ingress=each is gateway) for each in every}


def _info(deployment: Any, code: str, *, ingress: bool) -> DeploymentInfo:
    return DeploymentInfo(
        deployment_config=deployment._deployment_config,
        replica_config=deployment._replica_config,
        start_time_ms=0,
        deployer_job_id="",
        version=code,
        route_prefix="/" if ingress else None,
        ingress=ingress,
    )


@pytest.mark.parametrize(
    "edit",
    [
        {"autoscaling_config": scaling(min_replicas=2, max_replicas=8)},
        {"autoscaling_config": scaling(max_replicas=2)},
        {"autoscaling_config": scaling(min_replicas=3, max_replicas=3)},
        {"autoscaling_config": scaling(downscale_delay_s=5)},
        {"autoscaling_config": scaling(max_replicas=2, metrics_interval_s=3)},
        {"autoscaling_config": scaling(look_back_period_s=20)},
        {"max_ongoing_requests": 32},
        {"max_queued_requests": 8},
        {"graceful_shutdown_timeout_s": 9},
        {"health_check_period_s": 2},
    ],
)
@pytest.mark.parametrize("name", ["gateway", "tail", "anomaly"])
def test_bounds_and_limits_of_one_deployment_restart_nothing(name: str, edit: Content) -> None:
    after = edited(name, **edit)
    assert code_version(after) == code_version(shipped())
    assert restarted(shipped(), after) == set()


@pytest.mark.parametrize("name", ["gateway", "tail", "anomaly"])
def test_resources_of_one_deployment_restart_that_one_alone(name: str) -> None:
    after = edited(name, ray_actor_options={"num_cpus": 0.5})
    assert code_version(after) == code_version(shipped())
    assert restarted(shipped(), after) == {name}


def test_a_number_in_place_of_the_bounds_restarts_all_as_the_file_says() -> None:
    """If this fails Serve has become better: then the file and docs/operations.md may say less."""
    after = edited("tail", num_replicas=2)
    del next(each for each in after["deployments"] if each["name"] == "tail")["autoscaling_config"]
    assert restarted(shipped(), after) == {each["name"] for each in shipped()["deployments"]}


def test_another_policy_restarts_all_as_the_file_says() -> None:
    after = shipped() | {"autoscaling_policy": None}
    assert restarted(shipped(), after) == {each["name"] for each in shipped()["deployments"]}
