"""What a server says, right or wrong, is read strictly."""

import asyncio
import time
from urllib.parse import parse_qs

import pytest

from features.errors import SourceRefusedError, TooMuchAskedError
from features.sources.prometheus.api import PrometheusApi
from tests.features.sources.prometheus.lying import (
    GOOD,
    START,
    asked_once,
    asking,
    failure,
    lying,
    reply,
    success,
    vector,
)
from tests.prometheus_server import running, samples


async def test_what_a_real_one_knows() -> None:
    at = [START + 15 * each for each in range(8)]
    with running(samples('x{job="a"}', at, range(8))) as server:
        async with asking(f"{server.url}/") as api:
            (sample,) = await api.query("x * 2", at[3])
            (series,) = await api.query_range("x", at[0], at[-1], 30)
            names = await api.label_names(["x"])
            assert await api.label_values("__name__", ["x"], at[0], at[-1]) == ["x"]
            assert await api.label_values("job") == ["a"]
            assert await api.series(['{job="a"}']) == [{"__name__": "x", "job": "a"}]
            assert sample.labels == {"job": "a"}
            assert (sample.at, sample.value) == (at[3], 6.0)
            assert series.at.tolist() == at[::2]
            assert series.values.tolist() == [0, 2, 4, 6]
            assert names == ["__name__", "job"]
            with pytest.raises(TooMuchAskedError, match="11,000 points"):
                await api.query_range("x", 0, START, 60)
            with pytest.raises(SourceRefusedError, match="parse error"):
                await api.query("x{", START)


async def test_what_exporters_state_of_their_metrics() -> None:
    config = (
        "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: itself\n"
        "  static_configs: [{targets: [ITSELF]}]\n"
    )
    with running(None, config) as server:
        async with asking(server.url) as api:
            facts = await _stated(api)
    assert facts == "counter"


async def _stated(api: PrometheusApi) -> str:
    name = "prometheus_http_requests_total"
    deadline = time.monotonic() + 60
    while name not in (found := await api.metadata()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return found[name].type


async def test_a_query_is_a_form_that_holds_any_letters() -> None:
    async with lying(GOOD) as liar, asking(f"{liar.url}/sub/") as api:
        await api.query('x{a="ä&=+ "}', START + 0.5)
    (asked,) = liar.asked
    assert asked.line == "POST /sub/api/v1/query HTTP/1.1"
    form = parse_qs(asked.body)
    assert form["query"] == ['x{a="ä&=+ "}']
    assert form["time"] == [f"{START}.500"]
    assert form["timeout"] == ["30s"]
    assert form["partial_response"] == ["false"]


GARBAGE = [
    reply(200, b""),
    reply(200, b"<html>Sign in</html>"),
    reply(200, b"[]"),
    reply(200, b'{"status":"success"}'),
    reply(200, b"not gzip", "content-encoding: gzip"),
    failure(200, "internal", "no"),
    success(None),
    success([]),
    success({"resultType": "matrix", "result": []}),
    success({"resultType": "vector", "result": {}}),
    success({"resultType": "vector", "result": [{}]}),
    success({"resultType": "vector", "result": [{"metric": [], "value": [1, "2"]}]}),
    success({"resultType": "vector", "result": [{"metric": {"a": 1}, "value": [1, "2"]}]}),
    success({"resultType": "vector", "result": [{"metric": {}, "value": [1]}]}),
    success({"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]}),
    success({"resultType": "vector", "result": [7]}),
    vector("seven"),
    vector(None),
    vector(True),
    vector([]),
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_refused(garbage: bytes) -> None:
    error, liar = await asked_once(garbage)
    assert type(error) is SourceRefusedError
    assert len(liar.asked) == 1


@pytest.mark.parametrize(
    "values",
    [
        [[START, "1"], [START, "2"]],
        [[START + 60, "1"], [START, "2"]],
        [["NaN", "1"]],
        [[START, "1", "2"], START],
        "text",
    ],
)
async def test_ranges_are_read_as_strictly(values: object) -> None:
    found = {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}
    async with lying(success(found)) as liar, asking(liar.url) as api:
        with pytest.raises(SourceRefusedError):
            await api.query_range("up", START, START + 60, 60)


async def test_values_that_are_no_numbers_are_given_as_they_are() -> None:
    async with lying(vector("NaN", "+Inf", "-Inf", "1e3")) as liar, asking(liar.url) as api:
        values = [sample.value for sample in await api.query("up", START)]
    assert repr(values) == "[nan, inf, -inf, 1000.0]"
