"""Who may read the documentation: on loopback everybody, elsewhere who shows a key once."""

import re
import secrets

import httpx
import pytest

from access.key_store import KeyStore
from access.keys import KeyRing, Principal, Role, issue_key
from deployments.gateway.documentation.assets import FILES, asset
from deployments.gateway.documentation.sessions import (
    COOKIE,
    SESSION_SECONDS,
    Sessions,
    is_loopback,
)
from tests.deployments.house import NOW, House
from tests.waiting import until

PAGES = ("/docs", "/redoc")
HTML = "text/html; charset=utf-8"


def strict(found: httpx.Response) -> None:
    policy = found.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?! src=)|\son\w+=|https?://", found.text)


async def test_on_loopback_nobody_needs_a_key(house: House) -> None:
    async with house.stranger() as client:
        for path in (*PAGES, *("/api/v1" + each for each in PAGES)):
            found = await client.get(path)
            assert (found.status_code, found.headers["content-type"]) == (200, HTML)
            strict(found)
        assert (await client.get("/openapi.json")).status_code == 200
        assert (await client.get("/status")).status_code == 401


async def test_all_that_the_pages_name_is_there_and_kept_by_the_browser(house: House) -> None:
    async with house.stranger() as client:
        for path in PAGES:
            named = re.findall(r'(?:src|href)="([^"]+)"', (await client.get(path)).text)
            assert len(named) >= 2
            for address in named:
                found = await client.get(address)
                assert found.status_code == 200, address
                assert "immutable" in found.headers["cache-control"]
        assert (await client.get("/docs/assets/nothing.js")).status_code == 404
        assert (await client.get("/docs/assets/..%2fassets.py")).status_code == 404


def test_no_file_but_the_libraries_notes_names_a_network_for_loading() -> None:
    assert b"cdn." not in b"".join(asset(name).content for name in FILES)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("ballast.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_which_addresses_are_this_machines_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


class TestElsewhere:
    @pytest.fixture
    def host(self) -> str:
        return "0.0.0.0"

    async def test_a_stranger_is_asked_for_a_key_and_shown_nothing(self, house: House) -> None:
        async with house.stranger() as client:
            for path in PAGES:
                found = await client.get(path)
                assert (found.status_code, found.headers["content-type"]) == (401, HTML)
                assert f'value="{path}"' in found.text
                strict(found)
            found = await client.get("/openapi.json")
            assert found.json()["error"]["code"] == "unauthorized"

    async def test_a_program_that_sends_a_key_is_answered_as_usual(self, house: House) -> None:
        async with house.client(Role.VIEWER) as client:
            for path in (*PAGES, "/openapi.json"):
                assert (await client.get(path)).status_code == 200
        async with house.stranger(headers={"X-API-Key": "wrong"}) as client:
            for path in (*PAGES, "/openapi.json"):
                found = await client.get(path)
                assert (found.status_code, found.json()["error"]["code"]) == (401, "unauthorized")

    async def test_a_signed_in_browser_reads_the_pages_and_nothing_else(self, house: House) -> None:
        form = {"key": house.keys[Role.VIEWER], "page": "/redoc"}
        async with house.stranger() as client:
            found = await client.post("/docs/sign-in", data=form)
            assert (found.status_code, found.headers["location"]) == (303, "/redoc")
            cookie = found.headers["set-cookie"]
            assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
            assert house.keys[Role.VIEWER] not in cookie
            for path in (*PAGES, "/openapi.json"):
                assert (await client.get(path)).status_code == 200
            assert (await client.get("/status")).status_code == 401
            assert (await client.post("/models/tail-slo", json={"load": 1})).status_code == 401

    async def test_a_wrong_key_is_told_so(self, house: House) -> None:
        async with house.stranger() as client:
            for key in ("", "wrong", "ballast_1_" + "x" * 43, "x" * 500, "\xff\0"):
                found = await client.post("/docs/sign-in", data={"key": key, "page": "/docs"})
                assert found.status_code == 401
                assert "unknown or revoked" in found.text
                assert COOKIE not in client.cookies

    async def test_the_form_leads_to_no_other_place(self, house: House) -> None:
        form = {"key": house.keys[Role.VIEWER], "page": "https://elsewhere.example.com/"}
        async with house.stranger() as client:
            found = await client.post("/docs/sign-in", data=form)
            assert found.headers["location"] == "/docs"

    async def test_a_revoked_key_ends_its_sessions(self, house: House) -> None:
        async with house.stranger() as client:
            await client.post("/docs/sign-in", data={"key": house.keys[Role.CLIENT]})
            assert (await client.get("/docs")).status_code == 200
            ring = house.context.keys.value
            await KeyStore(house.redis).revoke(house.keys[Role.CLIENT].split("_")[1])
            await until(lambda: house.context.keys.value is not ring)
            assert (await client.get("/docs")).status_code == 401


def test_a_session_ends_and_cannot_be_made_up() -> None:
    now = 1_000_000.0
    issued = issue_key(Role.VIEWER, "", NOW, secrets.token_bytes)
    ring = KeyRing([issued.record])
    sessions = Sessions(b"a secret", lambda: ring, lambda: now)
    cookie = sessions.begin(Principal(issued.record.key_id, Role.VIEWER))
    assert sessions.holds(cookie)
    assert not Sessions(b"another", lambda: ring, lambda: now).holds(cookie)
    for wrong in (None, "", "x", issued.record.key_id, cookie[:-1], "x" + cookie):
        assert not sessions.holds(wrong)
    assert not Sessions(b"a secret", lambda: None, lambda: now).holds(cookie)
    now += SESSION_SECONDS
    assert sessions.holds(cookie)
    now += 1
    assert not sessions.holds(cookie)
