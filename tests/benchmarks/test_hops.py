from benchmarks.speed.hops import hops_between, timings

EXPOSITION = """\
# HELP lane_stage_seconds Time in each stage of the lane.
# TYPE lane_stage_seconds histogram
lane_stage_seconds_bucket{{stage="safety",le="0.001"}} {count}
lane_stage_seconds_bucket{{stage="safety",le="+Inf"}} {count}
lane_stage_seconds_count{{stage="safety"}} {count}
lane_stage_seconds_sum{{stage="safety"}} {total}
lane_stage_seconds_bucket{{stage="tail",le="+Inf"}} 7
lane_stage_seconds_count{{stage="tail"}} 7
lane_stage_seconds_sum{{stage="tail"}} 1.5
# HELP http_requests Requests.
# TYPE http_requests counter
http_requests_total{{endpoint="/models/tail-slo"}} {count}
"""


def test_a_hop_is_the_mean_between_two_snapshots() -> None:
    before = timings(EXPOSITION.format(count=10, total=0.5))
    after = timings(EXPOSITION.format(count=30, total=0.6))
    (hop,) = hops_between(before, after, clients=64)
    assert (hop.metric, hop.labels, hop.clients) == ("lane_stage_seconds", "stage=safety", 64)
    assert hop.calls == 20
    assert round(hop.mean_ms, 9) == 5.0


def test_a_stage_that_first_appears_counts_from_nothing() -> None:
    found = hops_between({}, timings(EXPOSITION.format(count=10, total=0.5)), clients=1)
    assert {(hop.labels, hop.calls) for hop in found} == {("stage=safety", 10), ("stage=tail", 7)}


def test_counters_are_no_timings() -> None:
    names = {name for name, _ in timings(EXPOSITION.format(count=1, total=1))}
    assert names == {"lane_stage_seconds_sum", "lane_stage_seconds_count"}
