"""Against a real prometheus, whose past was written for these tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from features.errors import SourceRefusedError, TooMuchAskedError
from features.sources.http.connection import Limits
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.source import PrometheusSource
from features.sources.rules import Mapping
from features.sources.source import Complaint, Gathered
from features.telemetry.columns import Telemetry
from tests.prometheus_server import PrometheusServer, running, samples

MINUTE = 60
START = 1_700_000_040  # a whole minute
NOW = START + 10 * 86_400
SCRAPES = [START + 7 + 15 * scrape for scrape in range(4 * 120)]  # two hours of them
ERRORS_SINCE = START + 5 * MINUTE
DEPLOYED = START + 30 * MINUTE
GONE = START + 40 * MINUTE
BACK = START + 45 * MINUTE


def counter(series: str, a_second: float, since: float = START, until: float = NOW) -> str:
    """Count evenly, and from zero again where the process was started anew."""
    at = [time for time in SCRAPES if since <= time < until]
    begun = [DEPLOYED if time >= DEPLOYED else START for time in at]
    counts = [a_second * (time - began) for time, began in zip(at, begun, strict=True)]
    return samples(series, at, counts)


def constant(series: str, value: float, since: float = START, until: float = NOW) -> str:
    at = [time for time in SCRAPES if since <= time < until]
    return samples(series, at, [value] * len(at))


def of_shop() -> str:
    buckets = {"0.1": 10.0, "0.2": 18.0, "0.5": 20.0, "+Inf": 20.0}
    return "".join(
        [
            counter('requests_total{job="shop",instance="a",code="200"}', 12),
            counter('requests_total{job="shop",instance="b",code="200"}', 8),
            counter('errors_total{job="shop",instance="a",say="\\"no\\"\\\\n"}', 2, ERRORS_SINCE),
            *(
                counter(f'seconds_bucket{{job="shop",le="{le}"}}', each)
                for le, each in buckets.items()
            ),
            counter('seconds_count{job="shop"}', 20),
            constant('waiting{job="shop",instance="a"}', 3),
            constant('waiting{job="shop",instance="b"}', 4, until=GONE),
            constant('bytes_used{job="shop"}', 30),
            constant('bytes_there{job="shop"}', 40),
            constant('process_start_time_seconds{job="shop"}', START - 99, until=DEPLOYED),
            constant('process_start_time_seconds{job="shop"}', DEPLOYED, since=DEPLOYED),
        ]
    )


def of_late() -> str:
    """Appears after 20 minutes, is gone from the 40th to the 45th, and comes back anew."""
    born = START + 20 * MINUTE
    return "".join(
        [
            counter('requests_total{job="late"}', 5, born, GONE),
            counter('requests_total{job="late"}', 5, BACK, BACK + 600),
            constant('process_start_time_seconds{job="late"}', born, born, GONE),
            constant('process_start_time_seconds{job="late"}', BACK, BACK, BACK + 600),
        ]
    )


def unlabelled() -> str:
    return counter("requests_total", 100)


@pytest.fixture(scope="module")
def server() -> Iterator[PrometheusServer]:
    with running(of_shop() + of_late() + unlabelled()) as started:
        yield started


@pytest.fixture
async def api(server: PrometheusServer) -> AsyncIterator[PrometheusApi]:
    api = PrometheusApi("prod", server.url, random=lambda: 0.5)
    yield api
    await api.close()


def rate(name: str, **where: str) -> dict[str, Any]:
    matchers = [{"label": label, "value": value} for label, value in where.items()]
    return {"kind": "rate", "of": {"name": name, "where": matchers}}


ALL = {
    "request_rate": rate("requests_total"),
    "error_rate": {
        "kind": "ratio",
        "of": {"name": "errors_total"},
        "by": {"name": "requests_total"},
    },
    "p50_ms": {"kind": "quantile", "of": {"name": "seconds"}, "level": 0.5},
    "p95_ms": {"kind": "quantile", "of": {"name": "seconds"}, "level": 0.95},
    "queue_depth": {"kind": "gauge", "of": {"name": "waiting"}},
    "active_workers": {"kind": "gauge", "of": {"name": "waiting"}, "over": "count"},
    "memory": {
        "kind": "gauge_ratio",
        "of": {"name": "bytes_used"},
        "by": {"name": "bytes_there"},
    },
}


def source(
    api: PrometheusApi,
    metrics: dict[str, Any],
    now: float = NOW,
    deploys: str | None = "process_start_time_seconds",
) -> PrometheusSource:
    described = {"entity": "job", "metrics": metrics}
    if deploys is not None:
        described["deploys"] = {"name": deploys}
    return PrometheusSource("prod", api, Mapping.model_validate(described), MINUTE, lambda: now)


def of(entity: str, gathered: Gathered) -> Telemetry:
    return gathered.telemetry.rows(gathered.telemetry.entity == entity)


async def test_rates_ratios_quantiles_and_gauges_are_what_was_counted(api: PrometheusApi) -> None:
    # Not the first minute, whose window begins before the first scrape.
    found = await source(api, ALL).range(START + MINUTE, START + 120 * MINUTE)
    shop = of("shop", found)
    assert shop.ts.tolist() == [START + MINUTE * minute for minute in range(1, 120)]
    # The minute in which it was started anew lost what was counted between two scrapes.
    steady = shop.rows(shop.ts != DEPLOYED)
    np.testing.assert_allclose(steady.request_rate, 20)
    np.testing.assert_allclose(steady.p50_ms, 100)
    np.testing.assert_allclose(steady.p95_ms, 350)
    np.testing.assert_allclose(steady.memory, 0.75)
    assert (shop.rows(shop.ts == DEPLOYED).request_rate < 20).all()


async def test_a_ratio_is_0_until_the_first_error(api: PrometheusApi) -> None:
    shop = of("shop", await source(api, ALL).range(START + MINUTE, START + 20 * MINUTE))
    before, since = shop.ts < ERRORS_SINCE, shop.ts > ERRORS_SINCE
    assert (shop.error_rate[before] == 0).all()
    np.testing.assert_allclose(shop.error_rate[since], 0.1)


async def test_a_gauge_does_not_outlive_its_interval(api: PrometheusApi) -> None:
    shop = of("shop", await source(api, ALL).range(START, START + 60 * MINUTE))
    assert shop.queue_depth.tolist() == [7] * 40 + [3] * 20
    assert shop.active_workers.tolist() == [2] * 40 + [1] * 20


async def test_a_matcher_takes_any_letters(api: PrometheusApi) -> None:
    only = {"request_rate": rate("errors_total", say='"no"\\n')}
    assert set(of("shop", await source(api, only).range(START, NOW)).request_rate.round(6)) == {2}
    none = {"request_rate": rate("errors_total", say='"no"\n')}
    assert len((await source(api, none, deploys=None).range(START, NOW)).telemetry) == 0


async def test_series_without_the_label_are_no_entity(api: PrometheusApi) -> None:
    found = await source(api, ALL).range(START, START + 120 * MINUTE)
    assert set(found.telemetry.entity) == {"shop", "late"}
    assert {each.fault for each in found.complaints} == {"gap"}


async def test_an_entity_that_was_away_lacks_those_intervals(api: PrometheusApi) -> None:
    found = await source(api, ALL).range(START, START + 120 * MINUTE)
    late = (of("late", found).ts - START) // MINUTE
    assert late.tolist() == [*range(20, 40), *range(45, 55)]
    example = "'late' from 2023-11-14T22:54:00Z to 2023-11-14T22:59:00Z"
    assert found.complaints == (Complaint("gap", 5, example),)


async def test_a_deploy_is_where_the_start_of_the_process_moves(api: PrometheusApi) -> None:
    found = await source(api, ALL).range(START, START + 120 * MINUTE)
    began = {each: of(each, found).ts[of(each, found).deploy == 1] for each in ("shop", "late")}
    assert began["shop"].tolist() == [DEPLOYED]
    assert began["late"].tolist() == [BACK]  # and none when it first appeared


@pytest.mark.parametrize("begin", [DEPLOYED - MINUTE, DEPLOYED, DEPLOYED + MINUTE])
async def test_a_deploy_is_seen_wherever_a_range_begins(api: PrometheusApi, begin: int) -> None:
    shop = of("shop", await source(api, ALL).range(begin, begin + 5 * MINUTE))
    assert shop.ts[shop.deploy == 1].tolist() == ([DEPLOYED] if begin <= DEPLOYED else [])


async def test_ranges_side_by_side_give_what_one_gives(api: PrometheusApi) -> None:
    mine = source(api, ALL)
    whole = await mine.range(START, START + 90 * MINUTE)
    cuts = [START, START + 17 * MINUTE, START + 30 * MINUTE, START + 41 * MINUTE + 20]
    cuts.append(START + 90 * MINUTE)
    parts = [await mine.range(*cut) for cut in pairwise(cuts)]
    for entity in ("shop", "late"):
        one, many = of(entity, whole), Telemetry.concat(of(entity, part) for part in parts)
        for name, values in one.columns().items():
            np.testing.assert_array_equal(values, getattr(many, name), err_msg=name)


async def test_more_intervals_than_a_server_gives_at_once(api: PrometheusApi) -> None:
    found = await source(api, ALL).range(START - 9 * 86_400, START + 9 * 86_400)
    assert len(of("shop", found)) == 120


async def test_a_server_that_loads_less_at_once_is_asked_for_less(api: PrometheusApi) -> None:
    expected = await source(api, ALL).range(START, START + 120 * MINUTE)
    with running(of_shop() + of_late(), "", "--query.max-samples=100") as strict:
        other = PrometheusApi("prod", strict.url, random=lambda: 0.5)
        with pytest.raises(TooMuchAskedError):
            await other.query_range("requests_total", START + 300, START + 3600, MINUTE)
        found = await source(other, ALL).range(START, START + 120 * MINUTE)
        await other.close()
    for name, values in found.telemetry.columns().items():
        if name not in ("entity", "ts"):
            np.testing.assert_array_equal(
                _by_entity(values, found), _by_entity(getattr(expected.telemetry, name), expected)
            )


def _by_entity(values: Any, gathered: Gathered) -> Any:
    return values[np.lexsort((gathered.telemetry.ts, gathered.telemetry.entity))]


async def test_only_intervals_that_begin_in_the_range_are_given(api: PrometheusApi) -> None:
    begun = START + 10 * MINUTE
    found = of("shop", await source(api, ALL).range(begun + 1, begun + 2 * MINUTE + 1))
    assert found.ts.tolist() == [begun + MINUTE, begun + 2 * MINUTE]


async def test_only_intervals_that_are_over_are_given(api: PrometheusApi) -> None:
    end = START + 10 * MINUTE
    over = await source(api, ALL, now=end + 5).range(START, end + 5 * MINUTE)
    assert over.telemetry.ts.max() == end - MINUTE
    assert over.until == end
    # The last scrapes may not be stored yet.
    unsettled = await source(api, ALL, now=end + 4.9).range(START, end + 5 * MINUTE)
    assert unsettled.telemetry.ts.max() == end - 2 * MINUTE
    assert unsettled.until == end - MINUTE


async def test_an_expression_of_the_users_own(api: PrometheusApi) -> None:
    own = {"kind": "expression", "promql": "max by (job) (rate(requests_total[$interval]))"}
    found = await source(api, {"request_rate": own}).range(START + MINUTE, START + 10 * MINUTE)
    np.testing.assert_allclose(of("shop", found).request_rate, 12)


async def test_two_series_of_one_entity_are_ambiguous(api: PrometheusApi) -> None:
    own = {"kind": "expression", "promql": 'rate(requests_total{job!=""}[$interval])'}
    mine = source(api, {"request_rate": own, "queue_depth": ALL["queue_depth"]}, deploys=None)
    found = await mine.range(START + 20 * MINUTE, START + 30 * MINUTE)
    assert np.isnan(of("shop", found).request_rate).all()
    np.testing.assert_allclose(of("late", found).request_rate, 5)
    (complaint,) = found.complaints
    assert (complaint.fault, complaint.count) == ("ambiguous labels", 20)
    assert "'shop'" in complaint.example


async def test_an_expression_must_keep_the_label(api: PrometheusApi) -> None:
    own = {"kind": "expression", "promql": "sum(rate(requests_total[$interval]))"}
    found = await source(api, {"request_rate": own}, deploys=None).range(START, START + 600)
    assert len(found.telemetry) == 0
    (complaint,) = found.complaints
    assert complaint.fault == "schema"
    assert "request_rate: {} has no 'job'" in complaint.example


async def test_a_wrong_expression_is_named(api: PrometheusApi) -> None:
    own = {"kind": "expression", "promql": "sum by (job) (rate("}
    with pytest.raises(SourceRefusedError, match=r"'prod' refused: request_rate: .*parse error"):
        await source(api, {"request_rate": own}).range(START, START + 600)


@pytest.mark.parametrize("metrics", [ALL, {"p95_ms": ALL["p95_ms"]}])
async def test_the_oldest_is_found(api: PrometheusApi, metrics: dict[str, Any]) -> None:
    assert await source(api, metrics, now=START + 7000).oldest() == START
    assert await source(api, metrics, now=NOW).oldest() is None  # over a week without any


async def test_the_oldest_of_a_server_without_its_series(api: PrometheusApi) -> None:
    assert await source(api, {"request_rate": rate("nobody_total")}).oldest() is None


async def test_questions_that_were_given_up_leave_room_for_others(server: PrometheusServer) -> None:
    api = PrometheusApi("prod", server.url, random=lambda: 0.5, limits=Limits(answer_seconds=9.0))
    for tenth in range(100):
        asked = asyncio.ensure_future(source(api, ALL).range(START, START + MINUTE))
        # Some questions wait for a turn, some connect, some wait for the answer.
        await asyncio.wait([asked], timeout=tenth / 10_000)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert len((await source(api, ALL).range(START, START + MINUTE)).telemetry) == 1
    await api.close()
