"""What the names of columns mean, in the ways that people write them."""

import pytest

from features.sources.clickhouse.names import SUCH_AS, Meaning, meaning_of, plain


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("p99_ms", Meaning("quantile", "p99_ms", 1.0)),
        ("latencyP95Ms", Meaning("quantile", "p95_ms", 1.0)),
        ("request_duration_p99_seconds", Meaning("quantile", "p99_ms", 1000.0)),
        ("latency_p99.9_us", Meaning("quantile", "p999_ms", 1e-3)),
        ("median_response_time_ns", Meaning("quantile", "p50_ms", 1e-6)),
        ("p99", Meaning("quantile", "p99_ms", None)),
        ("duration_ms", Meaning("duration", None, 1.0)),
        ("response_time", Meaning("duration", None, None)),
        ("rps", Meaning("rate", "request_rate", 1.0)),
        ("requests_per_minute", Meaning("rate", "request_rate", 1 / 60)),
        ("RequestCount", Meaning("count", "request_rate")),
        ("errors", Meaning("errors", "error_rate")),
        ("error_rate", Meaning("share", "error_rate", None)),
        ("error_ratio", Meaning("share", "error_rate", 1.0)),
        ("failure_rate_pct", Meaning("share", "error_rate", 0.01)),
        ("cpu_percent", Meaning("share", "cpu", 0.01)),
        ("CPUUtilization", Meaning("share", "cpu", None)),
        ("mem_used_pct", Meaning("share", "memory", 0.01)),
        ("memory_limit_bytes", Meaning("limit", "memory")),
        ("queue.length", Meaning("gauge", "queue_depth")),
        ("HTTPStatusCode", Meaning("status")),
        ("is_error", Meaning("failed")),
        # No metric: cumulative counters, other people's times, and words beside.
        ("requests_total", None),
        ("start_time", None),
        ("time_ms", None),
        ("latency_bucket", None),
        ("p99_ms_us", None),
        ("cpu_cores", None),
        ("error_message", None),
        ("request_id", None),
        ("p99_p95_ms", None),
    ],
)
def test_a_name_means_what_people_mean_by_it(name: str, meaning: Meaning | None) -> None:
    assert meaning_of(name) == meaning


def test_a_column_that_is_called_as_was_said_gives_the_metric() -> None:
    found = {metric: meaning_of(name) for metric, name in SUCH_AS.items()}
    assert {each and each.metric for each in found.values()} == found.keys()
    assert all(each is not None and each.metric == metric for metric, each in found.items())


def test_names_are_compared_in_small_letters_with_underscores() -> None:
    assert plain("HTTPStatusCode") == "http_status_code"
    assert plain("ServiceName") == "service_name"
    assert plain("@timestamp") == "timestamp"
