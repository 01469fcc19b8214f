from collections.abc import Iterator
from typing import Any

import pytest

from access.keys import Role
from deployments.gateway import shortcut
from deployments.gateway.shortcut import Shortcut, middlewares, open_shortcut
from tests.deployments.house import PATH, House


class Behind:
    """The rest of Serve's machinery."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.passed.append(scope.get("path", scope["type"]))


@pytest.fixture(autouse=True)
def _no_ingress_is_left() -> Iterator[None]:
    yield
    shortcut._ingresses.clear()


async def through(app: Shortcut, method: str, path: str, key: str = "") -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"load": 0.5}'}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-api-key", key.encode())]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    await app(scope, receive, send)
    return sent


async def test_without_an_ingress_everything_passes_on() -> None:
    behind = Behind()
    assert await through(Shortcut(behind), "POST", PATH) == []
    assert behind.passed == [PATH]


async def test_inference_goes_to_the_ingress_and_the_rest_passes_on(house: House) -> None:
    behind = Behind()
    open_shortcut(house.ingress)
    app = Shortcut(behind)
    key = house.keys[Role.CLIENT]
    for path in (PATH, "/api/v1" + PATH):
        assert (await through(app, "POST", path, key))[0]["status"] == 200
    assert behind.passed == []
    for method, path in (("GET", PATH), ("POST", "/config/deploy"), ("GET", "/health")):
        assert await through(app, method, path, key) == []
    assert behind.passed == [PATH, "/config/deploy", "/health"]
    await app({"type": "lifespan"}, None, None)  # type: ignore[arg-type] # nobody calls them
    assert behind.passed[-1] == "lifespan"


def test_serve_is_told_of_it_by_name() -> None:
    (middleware,) = middlewares()
    found: Any = middleware.cls
    assert found is Shortcut
