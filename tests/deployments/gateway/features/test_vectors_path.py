"""The path of vectors answers what FastAPI's route answers: every byte that reaches the client."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from starlette.types import ASGIApp, Receive, Scope, Send

from access.keys import KeyRing, Role, issue_key
from config_store.document import FeatureConfig
from config_store.quotas import Quota, QuotasConfig
from deployments.api.errors import UnavailableError
from deployments.gateway.admission.admission import Admission
from deployments.gateway.admission.rate_limits import RateLimits
from deployments.gateway.app import build_app
from deployments.gateway.bodies.room import BodyRoom
from deployments.gateway.features.reader import FeatureReader
from deployments.gateway.features.vectors_path import PATH, VectorsPath, VectorsQuestions
from deployments.gateway.ingress.ingress import InferenceIngress
from features.definitions.catalogue import STORED
from features.vectors.published import as_stored
from features.vectors.vector import GROUPS, Vector
from tests.deployments.gateway.uvicorn_protocol import answered, request
from tests.redis_server import RedisServer

NOW = datetime(2026, 3, 2, tzinfo=UTC)
WALL = 1_800_000_000.0
KEY = issue_key(Role.VIEWER, "a test", NOW, lambda n: b"k" * n)
WITH_KEY = f"x-api-key: {KEY.presented}"
TRACE = "x-request-id: trace-4711"
ASKED = {"entities": ["a", "nobody", "b", "a"], "features": ["load", "load_score", "cpu_sd_7d"]}


@dataclass
class Gateway:
    """A gateway as far as vectors go, whose FastAPI side notes what comes to it."""

    redis: Redis
    quotas: QuotasConfig = field(default_factory=QuotasConfig)
    broken: Exception | None = None
    wall: float = WALL
    observed: list[tuple[str, int]] = field(default_factory=list)
    passed_on: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rates = RateLimits(lambda: 0.0)
        rates.configure(self.quotas)
        self.admission = Admission(lambda: KeyRing([KEY.record]), rates)
        self.features = FeatureReader(self.redis, time.monotonic, lambda: 5.0)
        self.version = SimpleNamespace(document=SimpleNamespace(features=FeatureConfig()))
        self.questions = VectorsQuestions(
            self.features, BodyRoom(), self._active, lambda: self.wall
        )

    def ingress(self, *, own_path: bool) -> ASGIApp:
        context: Any = SimpleNamespace(
            families={},
            observe=self._observe,
            admission=self.admission,
            features=self.features,
            vectors=self.questions,
        )
        app = build_app(context)

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            self.passed_on.append(scope["path"])
            await app(scope, receive, send)

        path = VectorsPath(noted, self.questions, self.admission, self._observe)
        return InferenceIngress(path if own_path else noted, [], self._observe)

    def _active(self) -> Any:
        if self.broken is not None:
            raise self.broken
        return self.version

    def _observe(self, endpoint: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.observed.append((endpoint, status))


def vector(event_time: float, **values: float) -> Vector:
    numbers = {each.name: 0.25 for each in STORED} | values
    return Vector(numbers, [event_time] * len(GROUPS), [event_time + 10] * len(GROUPS), 60.0)


@pytest.fixture(autouse=True)
async def _published(redis: Redis) -> None:
    vectors = {"a": vector(WALL - 30, load=1 / 3), "b": vector(WALL - 900, cpu_sd_7d=float("nan"))}
    await redis.mset(as_stored(redis, vectors))


def post(body: bytes, *headers: str, path: str = PATH, method: str = "POST") -> bytes:
    named = [*(headers or (WITH_KEY,)), f"content-length: {len(body)}"]
    return request(path, TRACE, *named, method=method) + body


async def both_ways(redis: Redis, *raw: bytes, **gateway: Any) -> tuple[int, Any, Gateway]:
    """Give status and content of the last answer, and the gateway that has the path."""
    ours, theirs = Gateway(redis, **gateway), Gateway(redis, **gateway)
    own, fastapi = ours.ingress(own_path=True), theirs.ingress(own_path=False)
    by_us = [(await answered(own, each))[0] for each in raw]
    by_fastapi = [(await answered(fastapi, each))[0] for each in raw]
    assert by_us == by_fastapi
    assert ours.observed == theirs.observed
    head, _, body = by_us[-1].partition(b"\r\n\r\n")
    return int(head.split()[1]), orjson.loads(body), ours


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("form", ["rows", "columns"])
async def test_vectors_are_answered_by_the_path_alone(redis: Redis, form: str, prefix: str) -> None:
    body = orjson.dumps(ASKED | {"answer": form})
    status, found, gateway = await both_ways(redis, *[post(body, path=prefix + PATH)] * 3)
    assert (status, gateway.passed_on) == (200, [])
    assert gateway.observed == [(PATH, 200)] * 3
    if form == "rows":
        assert [row["values"][0] for row in found["rows"]] == [1 / 3, None, 0.25, 1 / 3]
        assert [row["stale"][0] for row in found["rows"]] == [False, False, True, False]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (post(orjson.dumps(ASKED), "x-none: 1"), 401),
        (post(orjson.dumps(ASKED), "x-api-key: wrong"), 401),
        (post(b"{"), 422),
        (post(orjson.dumps(ASKED | {"features": ["laod"]})), 422),
        (post(orjson.dumps(ASKED | {"more": 1, "entities": []})), 422),
        (post(b"[" * 2_000_000), 413),
    ],
)
async def test_refusals_are_the_same(redis: Redis, raw: bytes, status: int) -> None:
    found, content, gateway = await both_ways(redis, raw)
    assert (found, gateway.passed_on) == (status, [])
    assert content["error"]["request_id"] == "trace-4711"


async def test_a_quota_and_an_error_of_ours_are_the_same(redis: Redis) -> None:
    few = QuotasConfig(default=Quota(requests_per_second=1.0, burst_seconds=1.0))
    raw = post(orjson.dumps(ASKED))
    assert (await both_ways(redis, raw, raw, quotas=few))[0] == 429
    assert (await both_ways(redis, raw, broken=UnavailableError("not yet")))[0] == 503
    assert (await both_ways(redis, raw, broken=ZeroDivisionError()))[0] == 500


async def test_a_redis_that_is_away_is_the_same(redis: Redis, redis_server: RedisServer) -> None:
    redis_server.kill()
    assert (await both_ways(redis, post(orjson.dumps(ASKED))))[0] == 503


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_other_methods_are_left_to_fastapi(redis: Redis, method: str) -> None:
    raw = request(PATH, TRACE, WITH_KEY, method=method)
    ours = Gateway(redis)
    written, _ = await answered(ours.ingress(own_path=True), raw)
    assert written.startswith(b"HTTP/1.1 405")
    assert ours.passed_on == [PATH]


async def test_a_client_that_leaves_before_its_body_is_whole_is_noted_as_gone(
    redis: Redis,
) -> None:
    gateway, sent = Gateway(redis), []
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "headers": [(b"x-api-key", KEY.presented.encode())],
    }

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway.ingress(own_path=True)(scope, gone, send)
    assert gateway.observed == [(PATH, 499)]
