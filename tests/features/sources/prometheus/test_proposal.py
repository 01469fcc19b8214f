"""What is proposed for a real Prometheus, by what is in it."""

import time
from collections.abc import Iterable, Iterator
from random import random

import pytest

from features.errors import NothingUsableError
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.proposal import propose
from features.sources.prometheus.proposed import Chosen, Proposal
from features.sources.rules import Expression, Gauge, Metric, Quantile, Ratio
from tests.native_histograms import write_counts
from tests.prometheus_server import running
from tests.scraped import Scraped, counter, gauge, histogram, openmetrics

NOW = int(time.time()) // 60 * 60


async def proposed(
    series: Iterable[Scraped],
    entity: str | None = None,
    cadence: int = 60,
    *,
    plain: bool = False,
) -> Proposal:
    with running(openmetrics(series, NOW)) as server:
        api = PrometheusApi("prometheus", server.url, random=random)
        try:
            return await propose(api, at=NOW, cadence_seconds=cadence, entity=entity, plain=plain)
        finally:
            await api.close()


def of(proposal: Proposal, metric: Metric) -> Chosen:
    return next(each for each in proposal.chosen if each.metric == metric)


def web(job: str, a_second: float, **labels: str) -> Iterator[Scraped]:
    """Give what a service with a client library writes: one request of a hundred fails."""
    common = {"job": job, "instance": f"{job}:80", **labels}
    yield counter("http_requests_total", a_second * 0.99, **common, status="200")
    yield counter("http_requests_total", a_second * 0.01, **common, status="503")
    yield from histogram("http_request_duration_seconds", a_second, common)
    yield gauge("up", 1, **common)
    yield gauge("process_start_time_seconds", NOW - 9000, **common)
    yield counter("process_cpu_seconds_total", 0.25, **common)


def grpc(job: str, a_second: float) -> Iterator[Scraped]:
    ok = {"job": job, "instance": f"{job}:80", "grpc_code": "OK"}
    yield counter("grpc_server_handled_total", a_second * 0.75, **ok)
    yield counter("grpc_server_handled_total", a_second * 0.25, **ok | {"grpc_code": "Internal"})
    yield from histogram("grpc_server_handling_seconds", a_second, {"job": job}, even_to=0.2)


def monitoring() -> Iterator[Scraped]:
    """Give what a Prometheus and a node exporter say of themselves."""
    yield gauge("up", 1, job="prometheus", instance="p")
    yield gauge("prometheus_build_info", 1, job="prometheus", instance="p")
    yield counter("process_cpu_seconds_total", 0.01, job="prometheus", instance="p")
    yield counter("prometheus_http_requests_total", 2, job="prometheus", instance="p", code="200")
    yield gauge("up", 1, job="node", instance="n")
    yield gauge("node_uname_info", 1, job="node", instance="n")
    yield counter("node_cpu_seconds_total", 0.8, job="node", instance="n", mode="idle", cpu="0")


async def test_a_service_with_a_client_library_is_measured_whole() -> None:
    proposal = await proposed([*web("orders", 10), *web("search", 4), *monitoring()])
    assert proposal.entities == ("orders", "search")
    assert proposal.mapping.entity == "job"
    assert set(proposal.left_out) == {"node", "prometheus"}
    assert of(proposal, "request_rate").newest == pytest.approx({"orders": 10, "search": 4})
    assert of(proposal, "error_rate").newest == pytest.approx({"orders": 0.01, "search": 0.01})
    assert of(proposal, "p50_ms").newest == pytest.approx({"orders": 50, "search": 50})
    assert of(proposal, "p99_ms").newest == pytest.approx({"orders": 99, "search": 99})
    assert of(proposal, "cpu").newest == pytest.approx({"orders": 0.25, "search": 0.25})
    assert of(proposal, "active_workers").newest == {"orders": 1, "search": 1}
    assert proposal.mapping.deploys is not None
    assert {each.metric for each in proposal.missing} == {"load", "infra", "memory", "queue_depth"}


async def test_the_version_that_is_on_the_start_times_shows_deploys_too() -> None:
    versioned = await proposed([*web("orders", 10, version="1.2"), *web("search", 4)])
    assert versioned.mapping.version_label == "version"
    assert (await proposed(web("orders", 10))).mapping.version_label is None


async def test_two_frameworks_at_once_are_both_measured() -> None:
    proposal = await proposed([*web("orders", 10), *grpc("payments", 5)])
    assert isinstance(of(proposal, "request_rate").rule, Expression)
    assert of(proposal, "request_rate").newest == pytest.approx({"orders": 10, "payments": 5})
    assert of(proposal, "error_rate").newest == pytest.approx({"orders": 0.01, "payments": 0.25})
    assert of(proposal, "p95_ms").newest["payments"] > of(proposal, "p95_ms").newest["orders"]
    assert "gRPC server" in of(proposal, "p99_ms").why


async def test_one_convention_that_measures_all_is_taken_alone() -> None:
    meshed = [
        counter("istio_requests_total", 7, reporter="destination", job="mesh", response_code="200",
                destination_service_name=name)
        for name in ("orders", "payments")
    ]  # fmt: skip
    twice = [each._replace(labels={**each.labels, "reporter": "source"}) for each in meshed]
    proposal = await proposed([*meshed, *twice])
    assert proposal.mapping.entity == "destination_service_name"
    assert of(proposal, "request_rate").newest == pytest.approx({"orders": 7, "payments": 7})
    assert isinstance(of(proposal, "error_rate").rule, Ratio)


async def test_the_label_that_tells_services_apart_goes_before_one_that_does_not() -> None:
    one_job = [*web("pods", 10, app="orders"), *web("pods", 4, app="search")]
    proposal = await proposed(one_job)
    assert (proposal.mapping.entity, proposal.entities) == ("app", ("orders", "search"))
    same_service = [*web("orders", 10, service="web"), *web("search", 4, service="web")]
    assert (await proposed(same_service)).mapping.entity == "job"


async def test_the_users_label_is_taken_and_one_that_is_not_there_is_refused() -> None:
    desks = [*web("pods", 10, desk="fx"), *web("pods", 4, desk="rates")]
    assert (await proposed(desks, entity="desk")).entities == ("fx", "rates")
    with pytest.raises(NothingUsableError, match=r"has the label shop; they have job"):
        await proposed(desks, entity="shop")


async def test_quantiles_that_are_ready_made_are_taken_where_there_is_no_histogram() -> None:
    series = [
        gauge("http_request_duration_seconds", value, job="orders", instance=at, quantile=level)
        for at in ("a", "b")
        for level, value in (("0.5", 0.02), ("0.99", 0.3))
    ]
    count = counter("http_request_duration_seconds_count", 9, job="orders", instance="a")
    proposal = await proposed([*series, count])
    assert isinstance(of(proposal, "p99_ms").rule, Gauge)
    assert of(proposal, "p99_ms").newest == pytest.approx({"orders": 300})
    assert of(proposal, "request_rate").newest == pytest.approx({"orders": 9})
    assert "not the quantile of all requests" in of(proposal, "p99_ms").why
    assert {"p95_ms", "p999_ms"} <= {each.metric for each in proposal.missing}


async def test_without_a_label_of_the_status_the_error_rate_is_missing() -> None:
    bare = [*histogram("http_request_duration_seconds", 10, {"job": "orders"})]
    proposal = await proposed([*bare, gauge("orders_queue_size", 3, job="orders")])
    lacking = {each.metric: each for each in proposal.missing}
    assert "error_rate" in lacking
    assert lacking["error_rate"].gives[0] == (
        "http_request_duration_seconds_count with the label status"
    )
    assert lacking["queue_depth"].looks_like == ("orders_queue_size",)
    assert of(proposal, "request_rate").newest == pytest.approx({"orders": 10})


async def test_a_prometheus_alone_is_proposed_as_what_it_is() -> None:
    proposal = await proposed([*monitoring()])
    assert proposal.entities == ("node", "prometheus")
    assert of(proposal, "request_rate").newest == pytest.approx({"prometheus": 2})
    assert of(proposal, "cpu").newest == pytest.approx({"prometheus": 0.01, "node": 0.2})


async def test_containers_that_are_named_like_services_are_joined_by_that_name() -> None:
    def contained(container: str, limit: float) -> Iterator[Scraped]:
        labels = {"job": "kubelet", "container": container, "pod": f"{container}-1"}
        yield gauge("container_memory_working_set_bytes", 5e8, **labels)
        yield gauge("container_spec_memory_limit_bytes", limit, **labels)

    contents = [*contained("orders", 1e9), *contained("search", 2e9), *contained("sidecar", 0)]
    replicas = [
        gauge("kube_deployment_status_replicas_available", 3, job="kube", deployment=name)
        for name in ("orders", "search", "other")
    ]
    proposal = await proposed([*web("orders", 10), *web("search", 4), *contents, *replicas])
    assert of(proposal, "memory").newest == pytest.approx({"orders": 0.5, "search": 0.25})
    assert of(proposal, "active_workers").newest == {"orders": 3, "search": 3}


async def test_milliseconds_are_milliseconds() -> None:
    labels = {"job": "orders", "http_status_code": "500"}
    series = histogram("http_server_duration_milliseconds", 6, labels, unit=1000)
    proposal = await proposed(series)
    assert isinstance(of(proposal, "p95_ms").rule, Quantile)
    assert of(proposal, "p95_ms").newest == pytest.approx({"orders": 95})
    assert of(proposal, "error_rate").newest == {"orders": 1.0}


async def test_a_service_that_is_idle_now_is_seen_by_what_it_did_before() -> None:
    busy = [*web("orders", 10)]
    with running(openmetrics([*busy, *web("search", 4)], NOW - 120)) as server:
        server.end()
        server.give_past(openmetrics(busy, NOW))
        server.start()
        api = PrometheusApi("prometheus", server.url, random=random)
        proposal = await propose(api, at=NOW, cadence_seconds=60)
        await api.close()
    assert proposal.entities == ("orders", "search")
    assert of(proposal, "request_rate").newest.keys() == {"orders"}


async def test_nothing_of_a_known_convention_says_so() -> None:
    with pytest.raises(NothingUsableError, match=r"none of its 1 metrics .*it has coffee_cups"):
        await proposed([counter("coffee_cups", 1, job="kitchen")])


async def test_an_empty_prometheus_says_so() -> None:
    with pytest.raises(NothingUsableError, match="no series in the last hour"):
        await proposed([counter("old", 1)._replace(labels={"a": "b"})][:0])


async def test_series_that_no_label_of_a_service_names_are_refused() -> None:
    with pytest.raises(
        NothingUsableError, match="it has desk, status: name one with --entity-label"
    ):
        await proposed([counter("http_requests_total", 1, desk="fx", status="200")])


def scraped_every(seconds: int, until: int, since: int) -> str:
    """Write what a counter and a gauge of a service were at each scrape."""
    times = range(since, until + 1, seconds)
    return "".join(
        [
            *(
                f'http_requests_total{{job="orders",status="200"}} {at - since} {at}\n'
                for at in times
            ),
            *(f'up{{job="orders"}} 1 {at}\n' for at in times),
        ]
    )


@pytest.mark.parametrize(
    ("seconds", "cadence", "longer"), [(60, 60, 240), (60, 15, 240), (30, 15, 120)]
)
async def test_scrapes_that_are_too_rare_for_the_interval_ask_for_a_longer_one(
    seconds: int, cadence: int, longer: int
) -> None:
    with running(scraped_every(seconds, NOW - 7, NOW - 1207)) as server:
        api = PrometheusApi("prometheus", server.url, random=random)
        short = await propose(api, at=NOW, cadence_seconds=cadence)
        whole = await propose(api, at=NOW, cadence_seconds=longer)
        await api.close()
    assert "request_rate" in short.silent
    assert f"is scraped every {seconds} s" in short.why_silent
    assert short.why_silent.endswith(f"give --cadence {longer}")
    assert (whole.silent, whole.why_silent) == ((), "")


async def test_where_all_takes_rates_the_refusal_names_the_cadence_too() -> None:
    rates_alone = "".join(
        line
        for line in scraped_every(60, NOW - 7, NOW - 1207).splitlines(keepends=True)
        if not line.startswith("up")
    )
    with running(rates_alone) as server:
        api = PrometheusApi("prometheus", server.url, random=random)
        with pytest.raises(NothingUsableError, match=r"every 60 s.* give --cadence 240\.$"):
            await propose(api, at=NOW, cadence_seconds=60)
        await api.close()


async def test_a_young_prometheus_says_when_to_come_again() -> None:
    with running(scraped_every(15, NOW - 5, NOW - 5)) as server:
        api = PrometheusApi("prometheus", server.url, random=random)
        proposal = await propose(api, at=NOW, cadence_seconds=60)
        with pytest.raises(NothingUsableError, match="run the command again in some minutes"):
            await propose(api, at=NOW - 60, cadence_seconds=60)
        await api.close()
    assert {each.metric for each in proposal.chosen} == {"active_workers"}
    assert "scraped for 0 s only" in proposal.why_silent or "for 5 s only" in proposal.why_silent
    assert proposal.why_silent.endswith(" s")


async def test_native_histograms_are_taken_where_there_are_no_buckets() -> None:
    with running() as server:
        for status, a_second in (("200", 3), ("500", 1)):
            labels = {"__name__": "http_request_duration_seconds", "job": "orders"}
            counts = {at: a_second * (at - NOW + 120) for at in range(NOW - 120, NOW + 1, 15)}
            write_counts(server.url, {**labels, "status": status}, counts, index=-3)
        api = PrometheusApi("prometheus", server.url, random=random)
        proposal = await propose(api, at=NOW, cadence_seconds=60)
        await api.close()
    assert of(proposal, "request_rate").newest == pytest.approx({"orders": 4})
    assert of(proposal, "error_rate").newest == pytest.approx({"orders": 0.25})
    rule = of(proposal, "p99_ms").rule
    assert isinstance(rule, Quantile)
    assert rule.native
    assert 62.5 < of(proposal, "p50_ms").newest["orders"] < of(proposal, "p99_ms").newest["orders"]
    assert of(proposal, "p999_ms").newest["orders"] <= 125


async def test_a_plain_mapping_has_only_what_a_receiver_can_evaluate() -> None:
    two = [*web("orders", 10), *web("search", 4), *grpc("pricing", 8), *monitoring()]
    both = await proposed(two)
    assert isinstance(of(both, "request_rate").rule, Expression)  # two joined by `or`
    plain = await proposed(two, plain=True)
    assert not any(isinstance(each.rule, Expression) for each in plain.chosen)
    # Of the two conventions the one that measures more services.
    assert of(plain, "request_rate").newest == pytest.approx({"orders": 10, "search": 4})
    assert of(plain, "p99_ms").newest == pytest.approx({"orders": 99, "search": 99})
    assert "cpu" in {each.metric for each in both.chosen}
    lacking = {each.metric: each for each in plain.missing}
    # Not what is there and takes PromQL.
    assert lacking["cpu"].gives == ("process_cpu_usage",)


async def test_a_plain_mapping_takes_the_next_best_convention() -> None:
    java = {"job": "orders", "instance": "orders:80"}
    series = [*web("orders", 10), gauge("process_cpu_usage", 0.5, **java)]
    limited = [
        counter("container_cpu_usage_seconds_total", 0.5, **java, container="c"),
        gauge("container_spec_cpu_quota", 100_000, **java, container="c"),
        gauge("container_spec_cpu_period", 100_000, **java, container="c"),
    ]
    assert isinstance(of(await proposed([*series, *limited]), "cpu").rule, Expression)
    plain = of(await proposed([*series, *limited], plain=True), "cpu")
    assert isinstance(plain.rule, Gauge)
    assert plain.newest == {"orders": 0.5}


async def test_where_all_takes_promql_a_plain_mapping_is_refused() -> None:
    hosts = [each for each in monitoring() if each.name.startswith("node_")]
    with pytest.raises(NothingUsableError, match="node_cpu_seconds_total takes PromQL"):
        await proposed(hosts, plain=True)
