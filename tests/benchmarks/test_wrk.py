from pathlib import Path

import pytest

from benchmarks.speed.target import Target
from benchmarks.speed.wrk import WrkError, _environment, parse

# Printed by wrk 4.1.0 with post.lua against a server that refuses everything.
REFUSED = """\
Running 2s test @ http://127.0.0.1:8209/
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   641.65us    1.14ms   8.19ms   85.21%
    Req/Sec    31.98k    10.68k   51.35k    60.00%
  Latency Distribution
     50%   73.00us
     75%  678.00us
     90%    2.38ms
     99%    4.74ms
  63723 requests in 2.01s, 5.41MB read
  Non-2xx or 3xx responses: 63723
Requests/sec:  31728.15
Transfer/sec:      2.69MB
{"requests": 63723, "seconds": 2.008406, "p50_us": 73, "p99_us": 4737, "p999_us": 7125, \
"mean_us": 641.6, "max_us": 8189, "non_2xx": 63723, "connect": 0, "read": 0, "write": 0, \
"timeout": 0}
"""
ANSWERED = REFUSED.replace('"non_2xx": 63723', '"non_2xx": 0')


def test_figures_agree_with_those_that_wrk_itself_prints() -> None:
    measured = parse(ANSWERED)
    assert measured.rps == pytest.approx(31728.15, abs=0.1)
    assert measured.p50_ms == pytest.approx(0.073)
    assert measured.p99_ms == pytest.approx(4.74, abs=0.005)
    assert measured.p999_ms == pytest.approx(7.125)
    assert measured.mean_ms == pytest.approx(0.6416)
    assert measured.max_ms == pytest.approx(8.19, abs=0.005)


def test_refusals_are_not_requests_answered() -> None:
    measured = parse(REFUSED)
    assert measured.rps == 0
    assert measured.non_2xx == 63723


def test_socket_errors_of_every_kind_are_added() -> None:
    broken = ANSWERED.replace('"connect": 0, "read": 0', '"connect": 2, "read": 3')
    assert parse(broken.replace('"timeout": 0', '"timeout": 5')).socket_errors == 10


def test_output_without_figures_is_an_error_that_shows_it() -> None:
    with pytest.raises(WrkError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:8209 Connection refused")


def test_the_key_travels_in_the_environment() -> None:
    target = Target("http://127.0.0.1:1/", {"X-API-Key": "k", "X-Two": "2"}, Path("b.jsonl"))
    expected = {"WRK_BODIES": "b.jsonl", "WRK_HEADERS": "X-API-Key: k\nX-Two: 2"}
    assert _environment(target) == expected
