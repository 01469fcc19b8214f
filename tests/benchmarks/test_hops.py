from typing import Any

from benchmarks.speed.hops import hops_between, timings


def sample(name: str, value: float, **labels: str) -> dict[str, Any]:
    return {"name": name, "labels": labels, "value": value}


def metrics(count: float, total: float) -> dict[str, Any]:
    """Answer as GET /metrics does when JSON is asked for."""
    stages = [
        sample("lane_stage_seconds_bucket", count, family="tail", stage="safety", le="+Inf"),
        sample("lane_stage_seconds_count", count, family="tail", stage="safety"),
        sample("lane_stage_seconds_sum", total, family="tail", stage="safety"),
        sample("lane_stage_seconds_count", 7, family="tail", stage="features"),
        sample("lane_stage_seconds_sum", 1.5, family="tail", stage="features"),
    ]
    requests = [sample("http_requests_total", count, endpoint="/models/tail-slo")]
    return {
        "lane_stage_seconds": {"type": "histogram", "help": "Stages.", "samples": stages},
        "http_requests": {"type": "counter", "help": "Requests.", "samples": requests},
    }


def test_a_hop_is_the_mean_between_two_snapshots() -> None:
    before, after = timings(metrics(10, 0.5)), timings(metrics(30, 0.6))
    (hop,) = hops_between(before, after, clients=64)
    assert (hop.metric, hop.clients, hop.calls) == ("lane_stage_seconds", 64, 20)
    assert hop.labels == "family=tail, stage=safety"
    assert round(hop.mean_ms, 9) == 5.0


def test_a_stage_that_first_appears_counts_from_nothing() -> None:
    found = hops_between({}, timings(metrics(10, 0.5)), clients=1)
    assert [hop.calls for hop in found] == [10, 7]


def test_counters_are_no_timings() -> None:
    names = {name for name, _ in timings(metrics(1, 1))}
    assert names == {"lane_stage_seconds_sum", "lane_stage_seconds_count"}
