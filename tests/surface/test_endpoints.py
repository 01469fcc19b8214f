"""An endpoint that is listed and not served, or served and not listed, is a defect."""

import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts

from access.endpoints import ENDPOINTS, OPEN, PAGES
from access.keys import Role
from deployments.api.shipped import FAMILIES
from deployments.gateway.app import build_app
from tests.surface.bodies import documented_bodies, example_bodies
from tests.surface.source import REPOSITORY

Endpoint = tuple[str, str]


class Lists(NamedTuple):
    served: set[Endpoint]
    described: set[Endpoint]
    roles: set[Endpoint]
    documented: set[Endpoint]

    def defects(self) -> dict[str, set[Endpoint]]:
        found = {
            "served without a role": self.served - self.roles,
            "listed and not served": self.roles - self.served,
            "served and not described": self.served - PAGES - self.described,
            "described and not served": self.described - self.served,
            "served and not documented": self.served - self.documented,
            "documented and not served": self.documented - self.served,
        }
        return {what: endpoints for what, endpoints in found.items() if endpoints}


def served_by(app: FastAPI) -> set[Endpoint]:
    return {
        (method, str(route.path).replace(":path", ""))
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }


def described_in(page: dict[str, Any]) -> set[Endpoint]:
    return {(method.upper(), path) for path, methods in page["paths"].items() for method in methods}


def documented_in(text: str) -> dict[Endpoint, str]:
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \| (\w+) \|", text, re.MULTILINE)
    return {(method, path): role for method, path, role in rows}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """Build the app itself; nothing behind it is asked."""
    context: Any = SimpleNamespace(families=FAMILIES, observe=lambda *_: None)
    return build_app(context)


def test_served_described_documented_and_given_a_role_are_the_same(app: FastAPI) -> None:
    hot = {("POST", family.path) for family in FAMILIES.values()}
    text = (REPOSITORY / "docs/endpoints.md").read_text()
    lists = Lists(
        served_by(app) | hot,
        described_in(app.openapi()),
        ENDPOINTS.keys() | OPEN | PAGES,
        set(documented_in(text)),
    )
    assert lists.defects() == {}


def test_the_documented_role_is_the_one_that_is_asked_for() -> None:
    documented = documented_in((REPOSITORY / "docs/endpoints.md").read_text())
    expected = {endpoint: str(role) for endpoint, role in ENDPOINTS.items()}
    assert documented == expected | dict.fromkeys(OPEN, "none") | dict.fromkeys(PAGES, "pages")


def test_the_documented_bodies_are_the_examples_of_the_contract(app: FastAPI) -> None:
    documented = documented_bodies((REPOSITORY / "docs/endpoints.md").read_text())
    assert documented == example_bodies(app.openapi())


def test_every_family_is_for_clients() -> None:
    assert {ENDPOINTS["POST", family.path] for family in FAMILIES.values()} == {Role.CLIENT}


async def test_a_refused_method_is_told_which_ones_are_taken(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ballast") as client:
        found = await client.patch("/experiments/pricing")
        assert (found.status_code, found.headers["allow"]) == (405, "DELETE, GET, HEAD")
        found = await client.delete("/health")
        assert (found.status_code, found.headers["allow"]) == (405, "GET, HEAD")


def test_a_planted_endpoint_is_found() -> None:
    router = APIRouter()
    router.add_api_route("/planted/{name:path}", lambda: None, methods=["PUT"])
    planted = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    planted.include_router(router)
    served = served_by(planted)
    assert served == {("PUT", "/planted/{name}")}
    text = "| `GET /gone` | viewer | it is gone |\n"
    lists = Lists(served, set(), {("POST", "/only-listed")}, set(documented_in(text)))
    assert lists.defects() == {
        "served without a role": served,
        "listed and not served": {("POST", "/only-listed")},
        "served and not described": served,
        "served and not documented": served,
        "documented and not served": {("GET", "/gone")},
    }
