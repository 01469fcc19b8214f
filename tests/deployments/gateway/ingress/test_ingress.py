import asyncio
from itertools import product
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from access.endpoints import V1
from access.key_store import KeyStore
from access.keys import Role
from deployments.gateway.bodies.reader import MOST_BYTES
from deployments.gateway.ingress.ingress import InferenceIngress
from deployments.gateway.large_requests.answers import PIECE_BYTES
from tests.deployments.gateway.conftest import LogLines
from tests.deployments.house import PATH, House
from tests.waiting import until

BODY = {"entity": "order-gateway", "load": 0.5, "slo_ms": 20}
PATHS = (PATH, V1 + PATH)


def refusal(found: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a refusal has the one shape of all refusals; give what it says."""
    assert found.status_code == status
    assert found.headers["content-type"] == "application/json"
    assert found.json().keys() == {"error"}
    error: dict[str, Any] = found.json()["error"]
    assert error.keys() == {"code", "message", "fields", "request_id"}
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"]
    return error


@pytest.mark.parametrize("path", PATHS)
async def test_one_row_is_answered_as_an_object_and_rows_as_a_list_in_order(
    house: House, path: str
) -> None:
    loads = [0.9, 0.1, 0.5, 0.3, 0.7]
    async with house.client() as client:
        alone = [(await client.post(path, json=BODY | {"load": load})).json() for load in loads]
        rows = {"rows": [BODY | {"load": load} for load in loads]}
        together = await client.post(path, json=rows)
        single = (await client.post(path, json={"rows": [BODY]})).json()
    assert together.status_code == 200
    assert together.headers["content-type"] == "application/json"
    assert [each["data"] for each in together.json()] == [each["data"] for each in alone]
    p99 = [each["data"]["p99_pred"] for each in alone]
    assert p99 != sorted(p99)
    assert isinstance(single, list)


async def test_a_list_that_leaves_in_pieces_is_whole(house: House) -> None:
    loads = [0.001 * at for at in range(300)]
    async with house.client() as client:
        rows = {"rows": [BODY | {"load": load} for load in loads]}
        found = await client.post(PATH, json=rows)
    assert found.status_code == 200
    assert len(found.content) == int(found.headers["content-length"]) > 2 * PIECE_BYTES
    assert len(found.json()) == len(loads)
    assert len({each["meta"]["decision_id"] for each in found.json()}) == len(loads)


@pytest.mark.parametrize("path", PATHS)
async def test_who_shows_no_good_key_is_refused(house: House, path: str) -> None:
    for headers in ({}, {"X-API-Key": "ballast_guess"}, {"Authorization": "Bearer guess"}):
        async with house.stranger(headers=headers) as client:
            found = await client.post(path, json=BODY)
        assert refusal(found, 401, "unauthorized")["fields"] == {}
        assert found.headers["www-authenticate"] == "Bearer"
    assert await house.ledger() == []


async def test_a_role_that_may_only_read_is_refused(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        error = refusal(await client.post(PATH, json=BODY), 403, "forbidden")
    assert error["message"] == "This request needs the role client, but the key has the role viewer"
    assert await house.ledger() == []


async def test_either_header_carries_the_key(house: House) -> None:
    key = house.keys[Role.CLIENT]
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        async with house.stranger(headers=headers) as client:
            assert (await client.post(PATH, json=BODY)).status_code == 200


async def test_a_revoked_key_opens_nothing_within_a_second(house: House, redis: Redis) -> None:
    await KeyStore(redis).revoke(house.keys[Role.CLIENT].split("_")[1])
    await until(lambda: len(house.context.keys.value or ()) == len(Role) - 1)
    async with house.client() as client:
        refusal(await client.post(PATH, json=BODY), 401, "unauthorized")


UNFIT = {
    b'{"load": NaN}': "load",
    b'{"load": "0.5"}': "load",
    b'{"load": true}': "load",
    b'{"load": 0.5, "colour": "red"}': "colour",
    b'{"rows": [{"load": 0.5}, {"load": 0.5, "infra": Infinity}]}': "rows.1.infra",
    b"{}": "body",
    b"not json": "body",
    b"": "body",
}


async def test_what_does_not_fit_is_named_and_leaves_no_trace(house: House) -> None:
    async with house.client() as client:
        for body, field in UNFIT.items():
            error = refusal(await client.post(PATH, content=body), 422, "invalid")
            assert list(error["fields"]) == [field]
    assert await house.ledger() == []


async def test_a_body_past_the_bound_is_refused(house: House) -> None:
    async with house.client() as client:
        refusal(await client.post(PATH, content=b" " * (MOST_BYTES + 1)), 413, "too_large")


async def test_another_method_is_told_which_one_is_taken(house: House) -> None:
    async with house.client() as client:
        for path, method in product(PATHS, ("GET", "PUT", "DELETE", "PATCH", "OPTIONS")):
            found = await client.request(method, path)
            refusal(found, 405, "method_not_allowed")
            assert found.headers["allow"] == "POST"


async def test_a_path_that_is_not_there(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        for path in ("/nothing", PATH + "/", V1, V1 + "/nothing", V1 * 2):
            refusal(await client.get(path), 404, "not_found")


def _settled(found: httpx.Response) -> dict[str, Any]:
    """Give the answer without what goes on between two requests."""
    return {key: value for key, value in found.json().items() if key != "background_ages_s"}


async def test_every_other_path_is_served_under_the_prefix_too(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        for path in ("/health", "/status", "/config", "/safety/policy", "/"):
            plain, prefixed = await client.get(path), await client.get(V1 + path)
            assert plain.status_code == prefixed.status_code == 200
            assert _settled(plain) == _settled(prefixed)


async def test_a_refusal_carries_the_callers_request_id(house: House) -> None:
    async with house.stranger() as client:

        async def request_id_of(*sent: str | bytes) -> str:
            headers = [(b"X-Request-ID", x if isinstance(x, bytes) else x.encode()) for x in sent]
            found = await client.post(PATH, json=BODY, headers=headers)
            request_id: str = found.json()["error"]["request_id"]
            return request_id

        assert await request_id_of("trace-4711") == "trace-4711"
        for name in ("caf\xe9", "\u2013 7", "\u5927\u962a"):
            assert await request_id_of(name) == name
        assert await request_id_of("caf\xe9".encode("latin-1")) == "caf\xe9"
        for useless in ("", "x" * 65, "a\tb", b"\xff\x85"):
            assert len(await request_id_of(useless)) == 32
        assert await request_id_of() != await request_id_of()


async def test_what_breaks_here_says_nothing_of_itself(house: House, log_lines: LogLines) -> None:
    house.context.lanes.by_family.clear()
    async with house.client() as client:
        found = await client.post(PATH, json=BODY, headers={"X-Request-ID": "trace-4711"})
    error = refusal(found, 500, "internal")
    assert "tail" not in error["message"]
    (line,) = log_lines("A request failed")
    assert line["request_id"] == error["request_id"] == "trace-4711"
    assert "KeyError" in line["exception"]


def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": PATH, "headers": list(headers)}


async def test_of_a_strangers_request_not_even_the_body_is_read(house: House) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    await house.ingress(scope(), receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 401
    assert (b"content-length", str(len(sent[1]["body"])).encode()) in sent[0]["headers"]


async def test_a_client_that_left_is_answered_nothing(house: House) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    key = (b"x-api-key", house.keys[Role.CLIENT].encode())
    await house.ingress(scope(key), receive, send)
    assert sent == []
    assert (PATH, 499) in house.context._counts._answered


async def test_answers_are_counted_by_path_and_status(house: House) -> None:
    async with house.client() as client, house.stranger() as stranger:
        for path in PATHS:
            await client.post(path, json=BODY)
        await client.post(PATH, json={})
        await stranger.post(PATH, json=BODY)
    house.context._counts.write()  # done once a second otherwise
    registry = house.context.replica.metrics.registry
    for status, times in (("200", 2), ("422", 1), ("401", 1)):
        labels = {"endpoint": PATH, "status": status}
        assert registry.get_sample_value("http_requests_total", labels) == times
    seconds = registry.get_sample_value("http_request_duration_seconds_count", {"endpoint": PATH})
    assert seconds == 4


async def test_what_is_no_request_goes_to_the_app_behind(house: House) -> None:
    passed: list[Any] = []

    async def behind(scope: Any, _receive: Any, _send: Any) -> None:
        passed.append(scope)

    ingress = InferenceIngress(behind, [], house.context.observe)
    messages: Any = asyncio.Queue[Any]()
    lifespan = {"type": "lifespan"}
    await ingress(lifespan, messages.get, messages.put)
    assert passed == [lifespan]


async def test_the_metrics_page_has_what_was_answered(house: House) -> None:
    async with house.client() as client:
        await client.post(PATH, json=BODY)
        await house.context.replica._publish()  # done once a second otherwise
        page = await client.get("/metrics")
        as_json = await client.get("/metrics", headers={"Accept": "application/json"})
    wanted = f'http_requests_total{{endpoint="{PATH}",status="200"}} 1.0'
    assert wanted in page.text.splitlines()
    assert orjson.loads(as_json.content)["config_version"]["samples"][0]["value"] == 1.0
