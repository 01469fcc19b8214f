"""What Serve is given: the stages that serve_config.yaml names, each a class that needs no Ray."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray.cloudpickle
import yaml
from ray.serve import Deployment

from deployments.app import app, build
from deployments.gateway.deployment import Gateway
from deployments.runtime.state.stage import KeyedStage
from deployments.stages import KEYED, MODELS, STAGES, StageReplica, load

ROOT = Path(__file__).parents[2]


def in_a_process_of_its_own(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_serve_runs_what_its_configuration_names() -> None:
    (configured,) = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
    names = {each["name"] for each in configured["deployments"]}
    assert names == {"gateway", *STAGES}
    assert set(app._bound_deployment.init_kwargs) == set(MODELS)


def test_the_gateway_and_its_stages_load_without_ray() -> None:
    found = in_a_process_of_its_own(
        "import deployments.gateway.deployment, launch.dev.platform, sys\n"
        "from deployments.stages import STAGES, load\n"
        "print(*(load(name).__name__ for name in STAGES), 'ray' in sys.modules)"
    )
    assert found == "Features Safety Tail Forecasting Anomaly Optimization False\n"


def test_the_build_imports_no_stage() -> None:
    """Their models take seconds to import, which only the replicas of each need."""
    found = in_a_process_of_its_own(
        "import deployments.app, sys\n"
        "from deployments.stages import STAGES\n"
        "print([name for name in STAGES if f'deployments.{name}.deployment' in sys.modules])"
    )
    assert found == "[]\n"


def test_the_stages_that_hold_state_by_key_are_named() -> None:
    assert {name for name in STAGES if issubclass(load(name), KeyedStage)} == KEYED


def test_a_stage_travels_to_its_replica_as_a_name() -> None:
    """By value a class takes its module's globals along, and is another class there."""
    found = in_a_process_of_its_own(
        "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])))",
        ray.cloudpickle.dumps(StageReplica).hex(),
    )
    assert found == f"{StageReplica}\n"


def test_the_ingress_is_the_gateway() -> None:
    deployment: Deployment = app._bound_deployment
    assert issubclass(deployment.func_or_class, Gateway)
    assert deployment.name == "gateway"


def routers(application: Any) -> dict[str, str]:
    """Give the class that chooses a replica for each family's calls."""
    bound = application._bound_deployment.init_kwargs
    return {
        name: each._bound_deployment._deployment_config.request_router_config.request_router_class
        for name, each in bound.items()
    }


@pytest.mark.parametrize(
    ("profile", "by_session"), [("fast", set()), ("plain", {"anomaly", "optimization"})]
)
def test_in_plain_serve_keeps_the_keys_of_stateful_families_on_one_replica(
    profile: str, by_session: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALLAST_PROFILE", profile)
    found = routers(build())
    assert len(found) == 4
    assert {name for name, router in found.items() if "ConsistentHash" in router} == by_session
