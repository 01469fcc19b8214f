import asyncio
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from jsonschema_rs import Draft202012Validator, ValidationError, meta
from redis.asyncio import Redis

from access.endpoints import OPEN, needed_role
from access.keys import Role
from config_store.document import Lane, hash_of
from deployments.api.errors import InvalidError
from deployments.api.shipped import FAMILIES
from deployments.api.tail import TAIL
from deployments.gateway.app import build_app
from deployments.gateway.bodies.reader import BodyReader
from deployments.gateway.documentation.openapi import REFUSALS, describe
from features.rows import FeatureRow
from features.store import publish
from tests.deployments.house import PATH, House, document_with
from tests.surface.bodies import documented_bodies
from tests.surface.source import REPOSITORY
from tests.waiting import PATIENCE_SECONDS

BODY = {"entity": "order-gateway", "load": 0.5, "slo_ms": 20}


@pytest.fixture
def described(house: House) -> dict[str, Any]:
    found: dict[str, Any] = build_app(house.context).openapi()
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def fits(described: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": described["components"]})


def refusal_schema(described: dict[str, Any], status: int) -> dict[str, Any]:
    operation = described["paths"][PATH]["post"]
    found: dict[str, Any] = operation["responses"][str(status)]["content"]["application/json"]
    schema: dict[str, Any] = found["schema"]
    return schema


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


async def test_it_is_served_to_who_may_read(house: House, described: dict[str, Any]) -> None:
    async with house.client(Role.VIEWER) as client:
        found = await client.get("/openapi.json")
        pages = [await client.get(path) for path in ("/docs", "/redoc")]
    assert found.json() == described
    assert [page.status_code for page in pages] == [200, 200]
    assert {server["url"] for server in described["servers"]} == {"/", "/api/v1"}


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    found = set(references(described))
    assert len(found) > 8
    for reference in found:
        room, kind, name = reference.removeprefix("#/").split("/")
        assert (room, kind) == ("components", "schemas")
        meta.validate(described["components"]["schemas"][name])


def test_every_operation_tells_of_its_key_and_of_every_refusal(described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        opened = (method, path) in OPEN
        assert bool(operation.get("security")) is not opened, path
        expected = set(REFUSALS) - ({"401", "403"} if opened else set())
        assert expected <= set(operation["responses"]), path
        assert operation["summary"]


async def test_every_path_but_the_open_one_wants_a_key(
    house: House, described: dict[str, Any]
) -> None:
    async with house.stranger() as client:
        for method, path, _ in operations(described):
            found = await client.request(method, path.replace("{", "").replace("}", ""))
            wanted = 200 if (method, path) in OPEN else 401
            assert found.status_code == wanted, path


async def test_a_key_is_not_enough_where_its_role_is_too_low(
    house: House, described: dict[str, Any]
) -> None:
    async with house.client(Role.VIEWER) as client:
        for method, path, _ in operations(described):
            needed = needed_role(method, path)
            if needed is not None and not Role.VIEWER.includes(needed):
                assert (await client.request(method, path)).status_code == 403, path


async def test_answers_of_every_kind_are_as_described(
    house: House, described: dict[str, Any], redis: Redis, known: dict[str, FeatureRow]
) -> None:
    old = FeatureRow(known["settlement"].values, 1_000.0)
    await publish(redis, [("settlement", old)])
    operation = described["paths"][PATH]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    answered = fits(described, schema)
    kinds: list[dict[str, Any]] = [
        BODY,
        {"load": 1.6, "infra": 1.0, "error_rate": 0.5},  # nothing known, and in trouble
        BODY | {"entity": "settlement"},  # stale
        BODY | {"slo_ms": 1e7},  # outside the policy
    ]
    answers = await house.ask(*kinds)
    assert {answer["safety"]["level"] for answer in answers} > {"safe"}
    answered.validate(answers)
    for answer in answers:
        answered.validate(answer)
    with pytest.raises(ValidationError):
        answered.validate(answers[0] | {"more": 1})
    await house.within(model_ms=20, features_ms=20)
    house.kill("tail")
    house.kill("features")
    answered.validate(await house.ask(*kinds))


async def test_refusals_are_as_described(house: House, described: dict[str, Any]) -> None:
    await house.deploy(
        document_with(house.document, lane=Lane(max_batch_rows=1, max_waiting_rows=1))
    )

    def check(found: httpx.Response, status: int) -> None:
        assert found.status_code == status
        fits(described, refusal_schema(described, status)).validate(found.json())

    async with house.stranger() as client:
        check(await client.post(PATH, json=BODY), 401)
    async with house.client(Role.VIEWER) as client:
        check(await client.post(PATH, json=BODY), 403)
    async with house.client() as client:
        check(await client.get(PATH), 405)
        check(await client.post(PATH, content=b" " * 5_000_000), 413)
        check(await client.post(PATH, json={"load": "x"}), 422)
        check(await client.get("/config/versions?limit=0"), 422)
        unknown = await client.get("/config/versions/4711")
        check(unknown, 404)
        assert "GET /config/versions " in unknown.json()["error"]["message"]
        check(await client.get("/nothing"), 404)


async def test_a_version_of_another_release_is_listed_and_named(house: House) -> None:
    stored = await house.redis.hget(house.context.configs.versions_key, "1")
    assert stored is not None
    later = orjson.loads(stored)
    text = later["document"].replace('"features"', '"of_a_later_release"')
    later |= {"document": text, "config_hash": hash_of(text.encode())}
    await house.redis.hset(house.context.configs.versions_key, "2", orjson.dumps(later))
    async with house.client() as client:
        listed = (await client.get("/config/versions")).json()
        assert (await client.get("/config/active")).json()["history"] == [2, 1]
        one = await client.get("/config/versions/2")
    assert [(each["version"], bool(each["unreadable"])) for each in listed] == [
        (2, True),
        (1, False),
    ]
    assert one.status_code == 409
    assert "cannot be used by this release" in one.json()["error"]["message"]


async def answer_in_time(
    client: httpx.AsyncClient, endpoint: str, body: Any, wanted: int
) -> httpx.Response:
    """Send again what says that it may be: on a busy machine a process may yet have to begin."""
    until = time.monotonic() + PATIENCE_SECONDS
    method, _, path = endpoint.partition(" ")
    of_none = path.replace("{name}", "nobody").replace("{v}", "1")
    while True:
        found = await client.request(method, of_none, json=body)
        if found.status_code != 503 or wanted == 503 or time.monotonic() > until:
            return found
        assert int(found.headers["retry-after"]) >= 1
        await asyncio.sleep(0.1)


async def test_every_documented_body_is_taken(house: House) -> None:
    """No body is refused for itself; what some need is not there, as there is no history here."""
    lacking = {
        "POST /models/bandit/feedback": 404,
        "POST /models/tail-slo/outcome": 503,
        "POST /models/tail/outcome": 503,
        "POST /models/capacity-planning/outcome": 503,
        "POST /models/capacity/outcome": 503,
        "POST /models/extreme-events": 503,
        "POST /telemetry": 409,
        "POST /features/datasets": 503,
    }
    documented = documented_bodies((REPOSITORY / "docs/endpoints.md").read_text())
    needed = {each: needed_role(*each.split(" ")) or Role.VIEWER for each in documented}
    lacking |= {each: 403 for each, role in needed.items() if not Role.CLIENT.includes(role)}
    seen: dict[str, httpx.Response] = {}
    async with house.client() as client:
        for endpoint, body in documented.items():
            wanted = lacking.get(endpoint, 200)
            seen[endpoint] = await answer_in_time(client, endpoint, body, wanted)
    assert len(seen) == 36
    assert {endpoint: found.status_code for endpoint, found in seen.items()} == {
        endpoint: lacking.get(endpoint, 200) for endpoint in seen
    }
    assert "telemetry" in seen["POST /models/extreme-events"].json()["error"]["message"]


async def test_the_examples_are_answered(house: House, described: dict[str, Any]) -> None:
    examples = described["components"]["schemas"]["TailBody"]["examples"]
    assert len(await house.ask(*examples)) == len(examples) >= 2


async def test_an_example_that_brings_its_own_values_is_answered(
    house: House, described: dict[str, Any]
) -> None:
    examples = described["components"]["schemas"]["ExtremesBody"]["examples"]
    (own,) = [each for each in examples if "values" in each]
    async with house.client() as client:
        found = await answer_in_time(client, "POST /models/extreme-events", own, 200)
    assert found.status_code == 200, found.text
    assert found.json()["interval"] is not None


BODIES = [
    b'{"load": 0.5}',
    b'{"load": 0.5, "infra": null}',
    b'{"load": 1}',
    b'{"rows": [{"load": 0.5}, {"error_rate": 1}]}',
    b'{"rows": []}',
    b'{"rows": [{}]}',
    b'{"rows": [{"load": 0.5}], "load": 0.5}',
    b"{}",
    b'{"slo_ms": 20}',
    b'{"load": null}',
    b'{"load": "0.5"}',
    b'{"load": true}',
    b'{"load": -1}',
    b'{"load": 1e10}',
    b'{"error_rate": 1.5}',
    b'{"load": 0.5, "slo_ms": 0}',
    b'{"load": 0.5, "colour": 1}',
    b'{"load": 0.5, "entity": "a b"}',
    b'{"load": 0.5, "entity": ""}',
    b'{"load": 0.5, "entity": null}',
    b"[]",
    b"null",
]


@cache
def described_body() -> Draft202012Validator:
    app = FastAPI()
    describe(app, FAMILIES)
    described: dict[str, Any] = app.openapi()
    content = described["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]
    return fits(described, content["schema"])


@pytest.mark.parametrize("raw", BODIES, ids=[raw.decode() for raw in BODIES])
def test_the_described_body_is_the_one_that_is_taken(raw: bytes) -> None:
    try:
        BodyReader(TAIL).read(raw)
        taken = True
    except InvalidError:
        taken = False
    assert described_body().is_valid(orjson.loads(raw)) is taken
