from pathlib import Path
from typing import Any

import pytest

from deployments.history_actor import History
from deployments.launch import serve_config
from deployments.launch.errors import TooFewCpusError
from deployments.launch.serve_config import HISTORY_CPUS, Demand

SHIPPED = Path(__file__).parents[3] / "serve_config.yaml"


def shipped() -> serve_config.Config:
    return serve_config.read(SHIPPED, "127.0.0.1", 8123)


def test_the_address_of_the_run_is_put_in() -> None:
    assert shipped()["http_options"]["host"] == "127.0.0.1"
    assert shipped()["http_options"]["port"] == 8123


def test_the_shipped_file_fits_on_two_cores() -> None:
    assert serve_config.check_fits(serve_config.demands(shipped()), 2) is None


def test_what_the_history_reserves_is_counted() -> None:
    history: Any = History
    assert history._default_options["num_cpus"] == HISTORY_CPUS


def test_a_replica_that_no_machine_of_this_size_can_place_is_refused() -> None:
    with pytest.raises(TooFewCpusError, match=r"tail asks for 3 CPUs.*has 2.*serve_config\.yaml"):
        serve_config.check_fits([Demand("tail", 1, 3.0)], 2)


def test_first_replicas_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(TooFewCpusError, match=r"each deployment asks for 2\.1 CPUs"):
        serve_config.check_fits([Demand("tail", 1, 1.0), Demand("safety", 1, 1.0)], 2)


def test_more_replicas_than_fit_are_warned_of_and_named() -> None:
    warning = serve_config.check_fits([Demand("tail", 9, 0.2), Demand("safety", 1, 0.2)], 2)
    assert warning is not None
    for part in ("2.1 CPUs", "has 2", "tail 9", "num_replicas"):
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
