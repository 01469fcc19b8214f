"""Commands as a process would run them, beside the gateway that they ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from typer.testing import CliRunner, Result

from launch.cli import app
from launch.config import requests
from settings.environment import Settings
from tests.deployments.gateway.config_api import ConfigApi

ADMIN = "adam:admin"


async def invoke(api: ConfigApi, *words: str, group: str = "config") -> Result:
    """Run a command as a process would: on a loop of its own, beside the one that answers."""
    bridged = Bridge(api, asyncio.get_running_loop())
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(requests, "platform_client", bridged.platform_client)
            return await asyncio.to_thread(CliRunner().invoke, app, [group, *words])
    finally:
        bridged.is_over = True


class Bridge(httpx.AsyncBaseTransport):
    """Carries requests from the command's loop to the one that the gateway is on.

    That one is not closed before the command's thread has ended, and answers it until then: a
    command that looks again and again would go on for ever after its test was stopped.
    """

    def __init__(self, api: ConfigApi, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = httpx.ASGITransport(app=api.app)
        self._loop = loop
        self.is_over = False

    @asynccontextmanager
    async def platform_client(self, _: Settings) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            transport=self, base_url="http://ballast", headers={"X-API-Key": ADMIN}
        ) as client:
            yield client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_over:
            raise RuntimeError("the test is over, and nobody waits for this command")

        async def answer() -> httpx.Response:
            found = await self._inner.handle_async_request(request)
            body = await found.aread()
            return httpx.Response(found.status_code, headers=found.headers, content=body)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer(), self._loop))


def said(result: Result) -> str:
    return " ".join(result.output.split())
