from typing import Any

from launch.placement import (
    all_begun,
    deployments_health,
    in_a_line,
    lasting,
    share_begun,
    short,
)


def deployment(running: int, waiting: int, wanted: int, **more: Any) -> dict[str, Any]:
    placed = {"state": "RUNNING", "node_id": "n"}
    pending = {"state": "STARTING", "node_id": None}
    return {
        "target_num_replicas": wanted,
        "required_resources": {"CPU": 0.2},
        "message": "",
        "replicas": [placed] * running + [pending] * waiting,
    } | more


def details(**deployments: dict[str, Any]) -> dict[str, Any]:
    return {"applications": {"ballast": {"deployments": deployments}}}


def test_what_has_all_its_replicas_waits_for_nothing() -> None:
    found = deployments_health(details(tail=deployment(2, 0, 2)), 2.0, 0.1)
    assert short(found) == {}
    assert all_begun(found)


def test_who_waits_for_a_cpu_is_named_with_what_to_change() -> None:
    found = deployments_health(
        details(tail=deployment(1, 2, 3), safety=deployment(1, 0, 1)), 2, 0.1
    )
    (said,) = short(found).values()
    for part in ("tail: 1 of 3", "2 wait for 0.2 CPU", "machine's 2", "0.1", "num_replicas"):
        assert part in said
    assert all_begun(found)  # what is there serves
    assert found[1].in_trouble


def test_one_that_no_file_asks_for_is_no_trouble_where_it_finds_no_place() -> None:
    """The policy gives it up, or it has just taken the last place."""
    config = {"autoscaling_config": {"min_replicas": 1, "max_replicas": 8}}
    grown = deployment(1, 1, 2, deployment_config=config)
    (found,) = deployments_health(details(tail=grown), 2.0, 0.0)
    assert (found.waits_for, found.in_trouble) == ("the others are starting", False)
    config["autoscaling_config"]["min_replicas"] = 2
    (found,) = deployments_health(details(tail=grown), 2.0, 0.0)
    assert "1 wait for 0.2 CPU" in found.waits_for
    assert found.in_trouble


def test_a_replica_that_starts_is_not_short_of_a_cpu() -> None:
    (found,) = deployments_health(details(tail=deployment(1, 1, 2)), 2.0, 1.0)
    assert "starting" in found.waits_for
    assert not found.in_trouble


def test_one_without_any_replica_is_in_trouble_and_has_not_begun() -> None:
    found = deployments_health(details(tail=deployment(0, 1, 1)), 2.0, 1.0)
    assert found[0].in_trouble
    assert not all_begun(found)
    assert not all_begun([])


def test_a_constructor_that_fails_says_its_error() -> None:
    message = (
        "The deployment failed to start 1 times.\nTraceback:\n  File ...\nValueError: no model"
    )
    (found,) = deployments_health(details(tail=deployment(0, 1, 1, message=message)), 2.0, 1.0)
    assert "ValueError: no model" in found.waits_for
    assert "\n" not in found.waits_for


def test_the_start_says_in_full_who_is_stuck_and_by_name_who_starts() -> None:
    told = details(
        tail=deployment(0, 1, 1), anomaly=deployment(0, 1, 1), gateway=deployment(1, 0, 1)
    )
    told["applications"]["ballast"]["deployments"]["tail"]["required_resources"] = {"CPU": 1.5}
    said = in_a_line(deployments_health(told, 2.0, 1.0))
    assert said.startswith("tail: 0 of 1 replicas run; 1 wait for 1.5 CPU each")
    assert said.endswith("; starting anomaly")


def test_the_share_is_of_the_deployments_that_answer() -> None:
    one, none = deployment(1, 2, 3), deployment(0, 1, 1)
    found = deployments_health(details(a=one, b=none, c=none, d=none), 2.0, 1.0)
    assert (share_begun(found), share_begun([]), share_begun(found[:1])) == (0.25, 0.0, 1.0)


def test_who_follows_replicas_that_end_needs_no_person() -> None:
    """During a rollout the old ones hold their CPUs until they have ended."""
    following = deployment(1, 1, 2)
    ending = deployment(1, 0, 1)
    ending["replicas"].append({"state": "STOPPING", "node_id": "n"})
    (_, found) = deployments_health(details(safety=ending, tail=following), 2.0, 0.1)
    assert (found.starting, found.in_trouble) == (True, False)
    assert "num_cpus" not in found.waits_for
    ending["replicas"].pop()
    (_, found) = deployments_health(details(safety=ending, tail=following), 2.0, 0.1)
    assert "num_cpus" in found.waits_for


def test_a_shortage_is_told_when_it_lasts() -> None:
    """The CPUs of a replica that has just ended are given back a moment later."""
    enough = deployments_health(details(tail=deployment(2, 0, 2)), 2.0, 0.0)
    lacking = deployments_health(details(tail=deployment(1, 1, 2)), 2.0, 0.0)
    assert lasting(enough, lacking) == enough
    (first,) = lasting(lacking, enough)
    assert (first.starting, first.in_trouble) == (True, False)
    assert lasting(lacking, lacking) == lacking
    assert lacking[0].in_trouble
