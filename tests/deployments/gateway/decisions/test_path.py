"""A lookup's own path answers what FastAPI's route answers: every byte that reaches the client."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from access import endpoints
from access.keys import KeyRing, Role, issue_key
from config_store.quotas import Quota, QuotasConfig
from deployments.api.errors import OverloadedError
from deployments.gateway.admission.admission import Admission
from deployments.gateway.admission.rate_limits import RateLimits
from deployments.gateway.app import build_app
from deployments.gateway.decisions.lookups import DecisionLookups
from deployments.gateway.decisions.path import DecisionPath
from deployments.gateway.ingress.ingress import InferenceIngress
from deployments.history.client import HistoryAwayError
from deployments.history.questions import FoundDecisions
from tests.deployments.gateway.uvicorn_protocol import answered, request

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DECISION = "01a1f80f-b119-7000-807c-fcbeaee3293f"
ROW = b'{"decision_id":"%s","odd":"\xc3\xa9"}' % DECISION.encode()
KEY = issue_key(Role.VIEWER, "a test", NOW, lambda n: b"k" * n)
RING = KeyRing([KEY.record])
WITH_KEY = f"x-api-key: {KEY.presented}"
TRACE = "x-request-id: trace-4711"

History = Callable[[list[str]], Awaitable[FoundDecisions]]


async def found(ids: list[str]) -> FoundDecisions:
    return FoundDecisions(dict.fromkeys(ids, ROW))


async def missing(_: list[str]) -> FoundDecisions:
    return FoundDecisions({})


async def in_trouble(_: list[str]) -> FoundDecisions:
    return FoundDecisions({}, "Redis is away")


async def away(*_: Any) -> Any:
    raise HistoryAwayError("The archive is on another node", retry_after_s=5)


async def overloaded(*_: Any) -> Any:
    raise OverloadedError("4096 rows wait already")


async def failing(*_: Any) -> Any:
    raise ZeroDivisionError


@dataclass
class Archive:
    """Where every question is answered alike, and nothing is left unsearched."""

    answer: History

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        return await self.answer(decision_ids)

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        del within_s  # nobody waits here
        return await self.answer([decision_id])


@dataclass
class Gateway:
    """A gateway as far as lookups go, whose FastAPI side notes what comes to it."""

    history: History = found
    ring: KeyRing | None = field(default_factory=lambda: RING)
    quotas: QuotasConfig = field(default_factory=QuotasConfig)
    observed: list[tuple[str, int]] = field(default_factory=list)
    passed_on: list[str] = field(default_factory=list)

    def ingress(self, *, own_path: bool) -> ASGIApp:
        lookups = DecisionLookups(lambda: 0.0, Archive(self.history))
        rates = RateLimits(lambda: 0.0)
        rates.configure(self.quotas)
        admission = Admission(lambda: self.ring, rates)
        context: Any = SimpleNamespace(
            families={}, observe=self._observe, lookups=lookups, admission=admission
        )
        app = build_app(context)

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            self.passed_on.append(scope["path"])
            await app(scope, receive, send)

        path = DecisionPath(noted, lookups, admission, self._observe)
        return InferenceIngress(path if own_path else noted, [], self._observe)

    def _observe(self, endpoint: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.observed.append((endpoint, status))


async def both_ways(raw: list[bytes], **gateway: Any) -> tuple[bytes, Gateway, Gateway]:
    """Give what both ways wrote, which is the same; and the two gateways."""
    ours, theirs = Gateway(**gateway), Gateway(**gateway)
    own, fastapi = ours.ingress(own_path=True), theirs.ingress(own_path=False)
    by_us = [(await answered(own, each))[0] for each in raw]
    by_fastapi = [(await answered(fastapi, each))[0] for each in raw]
    assert by_us == by_fastapi
    assert ours.observed == theirs.observed
    assert len(theirs.passed_on) == len(raw)
    return by_us[-1], ours, theirs


def lookup(*headers: str, path: str = f"/decisions/{DECISION}", method: str = "GET") -> bytes:
    return request(path, TRACE, *(headers or (WITH_KEY,)), method=method)


ONE_A_SECOND = QuotasConfig(default=Quota(requests_per_second=1.0, burst_seconds=1.0))
OUTCOMES: dict[str, tuple[int, list[str], dict[str, Any]]] = {
    "found": (200, [], {}),
    "bearer": (200, [f"authorization: Bearer {KEY.presented}"], {}),
    "missing": (404, [], {"history": missing}),
    "no key": (401, ["accept: */*"], {}),
    "unknown key": (401, ["x-api-key: ballast_guess"], {}),
    "keys not loaded": (503, [], {"ring": None}),
    "trouble": (503, [], {"history": in_trouble}),
    "history away": (503, [], {"history": away}),
    "overloaded": (503, [], {"history": overloaded}),
    "broken": (500, [], {"history": failing}),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_each_outcome_is_answered_as_by_fastapi(outcome: str, method: str) -> None:
    status, headers, gateway = OUTCOMES[outcome]
    raw, ours, _ = await both_ways([lookup(*headers, method=method)], **gateway)
    assert raw.startswith(b"HTTP/1.1 %d " % status)
    assert ours.passed_on == []
    assert ours.observed == [("/decisions/{id}", status)]
    body = raw.partition(b"\r\n\r\n")[2]
    assert body == b"" if method == "HEAD" else b"trace-4711" in body or body == ROW


async def test_a_role_that_may_not_is_refused_as_by_fastapi(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(endpoints.ENDPOINTS, ("GET", "/decisions/{id}"), Role.ADMIN)
    raw, ours, _ = await both_ways([lookup()])
    assert raw.startswith(b"HTTP/1.1 403 ")
    assert ours.passed_on == []


@pytest.mark.parametrize("key", [WITH_KEY, "accept: */*"])
async def test_a_request_over_the_quota_is_refused_as_by_fastapi(key: str) -> None:
    raw, ours, _ = await both_ways([lookup(), lookup(), lookup(key)], quotas=ONE_A_SECOND)
    assert raw.startswith(b"HTTP/1.1 429 " if key == WITH_KEY else b"HTTP/1.1 401 ")
    assert ours.passed_on == []


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/decisions/{DECISION}",
        f"/decisions/{DECISION}?",
        f"/decisions/{DECISION}?id=x&id=y",
        f"/decisions/{DECISION.replace('-', '%2d')}",
    ],
)
async def test_however_a_good_path_is_written_it_is_answered_here(path: str) -> None:
    raw, ours, _ = await both_ways([lookup(path=path)])
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert ours.passed_on == []


@pytest.mark.parametrize("key", [WITH_KEY, "accept: */*"])
@pytest.mark.parametrize(
    "path",
    [
        "/decisions/",
        "/decisions/x",
        f"/decisions/{DECISION}/",
        f"/decisions/{DECISION}/replay",
        f"/decisions/{DECISION}%0A",
        f"/decisions/{DECISION}%2F",
        f"/decisions/{DECISION.upper()}",
        f"/decisions/{DECISION.replace('-7', '-4')}",
        f"/decisions/{DECISION.replace('1', '%D9%A1')}",
        f"//decisions/{DECISION}",
        f"/api/v1/api/v1/decisions/{DECISION}",
        "/metrics/decisions?limit=0",
    ],
)
async def test_another_path_is_left_to_fastapi(path: str, key: str) -> None:
    raw, ours, _ = await both_ways([lookup(key, path=path)])
    assert not raw.startswith(b"HTTP/1.1 200 ")
    assert len(ours.passed_on) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_another_method_is_refused_by_fastapi(method: str) -> None:
    raw, ours, _ = await both_ways([lookup(WITH_KEY, "content-length: 0", method=method)])
    assert raw.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: GET, HEAD\r\n" in raw
    assert len(ours.passed_on) == 1


@pytest.mark.parametrize("size", [3, 20_000])
async def test_a_body_is_read_by_fastapi(size: int) -> None:
    raw = lookup(WITH_KEY, f"content-length: {size}") + b"x" * size
    written, ours, _ = await both_ways([raw])
    assert written.startswith(b"HTTP/1.1 200 " if size == 3 else b"HTTP/1.1 413 ")
    assert len(ours.passed_on) == 1


@pytest.mark.parametrize(
    "headers",
    [
        ["x-request-id: caf\xe9 7"],
        ["connection: close"],
        ["transfer-encoding: chunked", "expect: 100-continue"],
    ],
)
async def test_headers_change_as_much_as_with_fastapi(headers: list[str]) -> None:
    raw = request(f"/decisions/{DECISION}", *headers, TRACE, "x-api-key: ballast_guess")
    raw += b"0\r\n\r\n" if "chunked" in headers[0] else b""
    written, _, _ = await both_ways([raw])
    assert b"HTTP/1.1 401 " in written


async def test_a_request_that_names_no_id_gets_one_of_its_own() -> None:
    ingress = Gateway(history=missing).ingress(own_path=True)
    raw = request(f"/decisions/{DECISION}", WITH_KEY)
    (first, _), (second, _) = await answered(ingress, raw), await answered(ingress, raw)
    assert first != second


async def test_a_failure_is_logged_with_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    await answered(Gateway(history=failing).ingress(own_path=True), lookup())
    (line,) = [each for each in caplog.records if each.message == "A request failed"]
    assert line.exc_info is not None
    assert line.exc_info[0] is ZeroDivisionError
