"""The pages in a real Chromium that reaches no host but this one."""

from typing import Any

import httpx
import pytest

from access.keys import Role
from tests.chromium import Page, page
from tests.deployments.house import House

STATUS = "#operations-platform-status_status_get"


async def operations(url: str, key: str) -> int:
    async with httpx.AsyncClient() as client:
        found: dict[str, Any] = (
            await client.get(f"{url}/openapi.json", headers={"X-API-Key": key})
        ).json()
    return sum(len(methods) for methods in found["paths"].values())


def undisturbed(tab: Page) -> None:
    assert tab.errors == []
    assert tab.hosts() == {"127.0.0.1"}


async def test_swagger_ui_shows_every_operation_and_tries_one(house: House, url: str) -> None:
    expected = await operations(url, house.keys[Role.VIEWER])
    async with page() as tab:
        await tab.open(f"{url}/docs")
        await tab.until(f"document.querySelectorAll('.opblock').length === {expected}")
        undisturbed(tab)
        await tab.click(".btn.authorize")
        await tab.type(".auth-container input", house.keys[Role.VIEWER])
        await tab.click(".auth-btn-wrapper .authorize")
        await tab.click(".auth-btn-wrapper .btn-done")
        await tab.click(f"{STATUS} .opblock-summary-control")
        await tab.click(f"{STATUS} .try-out__btn")
        await tab.click(f"{STATUS} .execute")
        answered = f"{STATUS} .live-responses-table tbody .response-col_status"
        assert await tab.until(f"document.querySelector('{answered}')?.innerText") == "200"
        assert f"{url}/status" in tab.requested
        # The key is gone with the page.
        assert await tab.value("JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
        undisturbed(tab)


async def test_redoc_shows_the_contract(house: House, url: str) -> None:
    expected = await operations(url, house.keys[Role.VIEWER])
    async with page() as tab:
        await tab.open(f"{url}/redoc")
        await tab.until(f"document.querySelectorAll('[id*=operation]').length >= {expected}")
        assert "Bound the tail latency" in await tab.value("document.body.innerText")
        undisturbed(tab)


class TestElsewhere:
    @pytest.fixture
    def host(self) -> str:
        return "0.0.0.0"

    async def test_a_key_signs_in_to_the_pages_and_to_nothing_else(
        self, house: House, url: str
    ) -> None:
        expected = await operations(url, house.keys[Role.VIEWER])
        async with page() as tab:
            await tab.open(f"{url}/docs")
            await tab.type("input[name=key]", house.keys[Role.VIEWER])
            await tab.click("button")
            await tab.until(f"document.querySelectorAll('.opblock').length === {expected}")
            (cookie,) = (await tab.call("Network.getCookies"))["cookies"]
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            assert await tab.value("document.cookie") == ""
            assert await tab.value("fetch('/status').then(found => found.status)") == 401
            assert tab.hosts() == {"127.0.0.1"}
            assert await tab.value("location.pathname") == "/docs"
