from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.serve.schema import (
    DeploymentSchema,
    HTTPOptionsSchema,
    LoggingConfig,
    RayActorOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
)

from deployments.history.actor import History
from launch import serve_config, serve_keys
from launch.errors import ConfigFileError, TooFewCpusError
from launch.serve_config import HISTORY_CPUS, Demand

SHIPPED = Path(__file__).parents[2] / "serve_config.yaml"
OTHER = Path("/etc/other.yaml")


def shipped() -> serve_config.Config:
    return serve_config.read(SHIPPED, "127.0.0.1", 8123)


def test_the_address_of_the_run_is_put_in() -> None:
    assert shipped()["http_options"]["host"] == "127.0.0.1"
    assert shipped()["http_options"]["port"] == 8123


def test_the_shipped_file_fits_on_two_cores() -> None:
    assert serve_config.check_fits(serve_config.demands(shipped()), 2, OTHER) is None


def test_every_shipped_deployment_begins_with_one_and_may_grow_where_that_helps() -> None:
    (application,) = shipped()["applications"]
    bounds = {
        each["name"]: (scaling["min_replicas"], scaling["max_replicas"])
        for each in application["deployments"]
        if (scaling := each["autoscaling_config"])
    }
    assert bounds == dict.fromkeys(serve_keys.OWN_DEPLOYMENTS, (1, 8)) | {"forecasting": (1, 1)}
    assert {each.replicas for each in serve_config.demands(shipped())} == {1}


def test_on_two_cores_any_deployment_finds_a_place_for_another_replica() -> None:
    asked = serve_config.demands(shipped())
    free = 2 - HISTORY_CPUS - sum(each.cpus for each in asked)
    assert free >= max(each.cpus for each in asked)


def test_what_the_history_reserves_is_counted() -> None:
    history: Any = History
    assert history._default_options["num_cpus"] == HISTORY_CPUS


def test_a_replica_that_no_machine_of_this_size_can_place_is_refused() -> None:
    with pytest.raises(TooFewCpusError, match=r"tail asks for 3 CPUs.*has 2.*other\.yaml"):
        serve_config.check_fits([Demand("tail", 1, 3.0)], 2, OTHER)


def test_first_replicas_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(TooFewCpusError, match=r"each deployment asks for 2\.1 CPUs"):
        serve_config.check_fits([Demand("tail", 1, 1.0), Demand("safety", 1, 1.0)], 2, OTHER)


def test_more_replicas_than_fit_are_warned_of_and_named() -> None:
    asked = [Demand("tail", 9, 0.2), Demand("safety", 1, 0.2)]
    warning = serve_config.check_fits(asked, 2, OTHER)
    assert warning is not None
    for part in (f"{OTHER} asks for 2.1 CPUs", "has 2", "tail 9", "num_replicas"):
        assert part in warning


def test_replicas_are_counted_as_serve_counts_them() -> None:
    config = {
        "applications": [
            {
                "deployments": [
                    {"name": "bare"},
                    {"name": "auto", "num_replicas": "auto", "ray_actor_options": {"num_cpus": 0}},
                    {"name": "scaled", "autoscaling_config": {"min_replicas": 3}},
                    {"name": "started", "autoscaling_config": {"initial_replicas": 2}},
                ]
            }
        ]
    }
    asked = serve_config.demands(config)
    assert [(each.replicas, each.cpus) for each in asked] == [(1, 1), (1, 0), (3, 1), (2, 1)]
    least = serve_config.one_replica_each(config)
    assert [each.replicas for each in serve_config.demands(least)] == [1, 1, 1, 1]
    assert serve_config.demands(config) == asked  # the original stays as it was


Edit = Callable[[dict[str, Any]], object]


def deployment(content: dict[str, Any], name: str) -> Any:
    found = content["applications"][0]["deployments"]
    return next(each for each in found if each["name"] == name)


def edited(folder: Path, edit: Edit) -> Path:
    """Write the shipped file as an operator edited it."""
    content = yaml.safe_load(SHIPPED.read_text())
    edit(content)
    path = folder / "edited.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def of_tail(**keys: object) -> Edit:
    return lambda content: deployment(content, "tail").update(keys)


def held(**keys: object) -> Edit:
    """Hold the tail at a number, in place of bounds."""

    def edit(content: dict[str, Any]) -> None:
        del deployment(content, "tail")["autoscaling_config"]
        deployment(content, "tail").update(keys)

    return edit


def scaled(**keys: object) -> Edit:
    return of_tail(autoscaling_config=keys)


def with_policy(**keys: object) -> Edit:
    return lambda content: content["applications"][0].update(autoscaling_policy=keys)


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (held(num_replicas="two"), ["deployment tail: num_replicas is 'two'", "from 1", "auto"]),
        (of_tail(num_replicas=0), ["num_replicas is 0"]),
        (of_tail(num_replicas=True), ["num_replicas is True"]),
        (of_tail(num_replica=2), ["num_replica is not a known key", "did you mean num_replicas?"]),
        (of_tail(max_queued_requests=0), ["max_queued_requests is 0", "from 1 on or -1"]),
        (of_tail(max_queued_requests=-1.0), ["max_queued_requests is -1.0"]),
        (of_tail(health_check_period_s=0), ["health_check_period_s is 0", "above 0"]),
        (of_tail(ray_actor_options=None), ["ray_actor_options is empty", "a block of keys"]),
        (
            of_tail(ray_actor_options={"num_cpus": "many"}),
            ["deployment tail: ray_actor_options.num_cpus is 'many'", "a number from 0 on"],
        ),
        (
            of_tail(ray_actor_options={"num_cpu": 1}),
            ["ray_actor_options.num_cpu is not a known key"],
        ),
        (
            of_tail(num_replicas=2),
            ["num_replicas and autoscaling_config exclude", "min_replicas and max_replicas"],
        ),
        (
            scaled(policy={"policy_functions": "a:b"}),
            ["autoscaling_config.policy.policy_functions is not a known key"],
        ),
        (
            scaled(policy={"policy_function": "a:b"}),
            ["deployment tail: autoscaling_config.policy is never asked", "remove one"],
        ),
        (with_policy(policy="a:b"), ["ballast: autoscaling_policy.policy is not a known key"]),
        (with_policy(policy_function=None), ["autoscaling_policy.policy_function is empty"]),
        (scaled(min_replicas=3, max_replicas=2), ["min_replicas 3 above max_replicas 2"]),
        (scaled(max_replicas=2, initial_replicas=5), ["initial_replicas is 5", "between 1 and 2"]),
        (scaled(max_replicas="8"), ["autoscaling_config.max_replicas is '8'"]),
        (of_tail(name="tails"), ["deployment tails does not exist", "did you mean tail?"]),
        (of_tail(name=7), ["name is 7"]),
        (of_tail(name="safety"), ["deployment safety is listed twice"]),
        (
            lambda content: content.update(application=[]),
            ["application is not a known key", "applications"],
        ),
        (lambda content: content.pop("applications"), ["applications is missing", "a list"]),
        (lambda content: content.update(applications=[]), ["applications is empty"]),
        (lambda content: content.update(applications=["x"]), ["applications has the entry 'x'"]),
        (lambda content: content.update(http_options=None), ["http_options is empty"]),
        (
            lambda content: content["http_options"].update(ports=1),
            ["http_options.ports is not a known key"],
        ),
        (lambda content: content["http_options"].update(port="x"), ["http_options.port is 'x'"]),
        (lambda content: content["logging_config"].update(encoding="XML"), ["JSON or TEXT"]),
        (
            lambda content: content["applications"][0].pop("import_path"),
            ["application ballast: import_path is missing"],
        ),
        (
            lambda content: content["applications"][0].update(deployments={"name": "tail"}),
            ["application ballast: deployments is {'name': 'tail'}", "a list"],
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_what_is_allowed(
    tmp_path: Path, edit: Edit, parts: list[str]
) -> None:
    path = edited(tmp_path, edit)
    with pytest.raises(ConfigFileError) as refusal:
        serve_config.read(path, "127.0.0.1", 8123)
    for part in (str(path), *parts):
        assert part in str(refusal.value)


def test_a_key_that_is_nearly_one_is_put_right_without_a_list_of_all(tmp_path: Path) -> None:
    path = edited(tmp_path, of_tail(num_replica=2))
    with pytest.raises(ConfigFileError, match=r"is not a known key; did you mean num_replicas\?$"):
        serve_config.read(path, "127.0.0.1", 8123)


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    path = edited(tmp_path, of_tail(num_replicas="two", num_cpus=1))
    with pytest.raises(
        ConfigFileError, match=r"num_cpus is not a known key.*num_replicas is 'two'"
    ):
        serve_config.read(path, "127.0.0.1", 8123)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("applications: [caf\xe9]".encode("latin-1"))
    with pytest.raises(ConfigFileError, match=r"latin\.yaml is not UTF-8 text"):
        serve_config.read(tmp_path / "latin.yaml", "127.0.0.1", 8123)


def _each_its_own_policy(content: dict[str, Any]) -> None:
    policy = content["applications"][0].pop("autoscaling_policy")
    scaled(max_replicas=8, policy=policy)(content)


@pytest.mark.parametrize(
    "edit",
    [
        held(num_replicas="auto", max_queued_requests=-1, health_check_timeout_s=2.5),
        of_tail(num_replicas=None, autoscaling_config={"min_replicas": 1, "max_replicas": 8}),
        held(num_replicas=3),
        scaled(min_replicas=2, max_replicas=8, upscale_delay_s=0.5),
        _each_its_own_policy,
        of_tail(ray_actor_options={"num_cpus": 1, "num_gpus": None, "resources": {"disk": 1}}),
        lambda content: content.pop("http_options"),
        lambda content: content["http_options"].update(request_timeout_s=None),
    ],
)
def test_what_serve_takes_is_let_through(tmp_path: Path, edit: Edit) -> None:
    config = serve_config.read(edited(tmp_path, edit), "127.0.0.1", 8123)
    assert config["http_options"]["port"] == 8123
    ServeDeploySchema.model_validate(config)


def test_another_application_has_deployments_of_its_own(tmp_path: Path) -> None:
    def add(content: dict[str, Any]) -> None:
        other = {"name": "other", "route_prefix": "/other", "import_path": "others:app"}
        content["applications"].append(other | {"deployments": [{"name": "tails"}]})

    config = serve_config.read(edited(tmp_path, add), "127.0.0.1", 8123)
    assert len(config["applications"]) == 2


def test_the_known_keys_are_those_of_serve() -> None:
    schemas = {
        ServeDeploySchema: serve_keys.FILE,
        HTTPOptionsSchema: serve_keys.HTTP_OPTIONS,
        LoggingConfig: serve_keys.LOGGING,
        DeploymentSchema: serve_keys.DEPLOYMENT,
        AutoscalingConfig: serve_keys.SCALING,
        AutoscalingPolicy: serve_keys.POLICY,
        RayActorOptionsSchema: serve_keys.ACTOR,
    }
    for schema, keys in schemas.items():
        assert set(keys) == set(schema.model_fields), schema
    # Serve refuses these two in a file of several applications.
    assert set(serve_keys.APPLICATION) == set(ServeApplicationSchema.model_fields) - {
        "host",
        "port",
    }


def test_the_known_deployments_are_those_of_the_shipped_file() -> None:
    asked = serve_config.demands(shipped())
    assert [each.deployment for each in asked] == list(serve_keys.OWN_DEPLOYMENTS)
