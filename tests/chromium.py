"""A real Chromium without a screen, cut off from every host but this one, spoken to by DevTools."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.waiting import until

OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--remote-debugging-port=0", "--window-size=1280,1600"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
PATIENCE_SECONDS = 60.0


class DevToolsError(Exception):
    """Chromium could not do what it was asked."""


class Page:
    """One tab: what it asked for, what went wrong in it, and what it shows."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listening = asyncio.create_task(self._listen())
        self.requested: list[str] = []
        self.errors: list[str] = []

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        await self._socket.send(
            orjson.dumps({"id": number, "method": method, "params": parameters}).decode()
        )
        return await answered

    async def value(self, expression: str) -> Any:
        """Evaluate JavaScript in the page; promises are waited for."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise DevToolsError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until the page makes the expression true."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(DevToolsError):  # the page is just making way for another
                    if found := await self.value(expression):
                        return found
                await asyncio.sleep(0.05)

    async def click(self, selector: str) -> None:
        await self.until(f"!!document.querySelector({selector!r})")
        await self.value(f"document.querySelector({selector!r}).click()")

    async def type(self, selector: str, text: str) -> None:
        """Type as a person does: scripts of the page hear of it."""
        await self.until(f"!!document.querySelector({selector!r})")
        await self.value(f"document.querySelector({selector!r}).focus()")
        await self.call("Input.insertText", text=text)

    def hosts(self) -> set[str]:
        """Name the hosts that were asked for anything."""
        found = {urlsplit(url) for url in self.requested}
        return {str(url.hostname) for url in found if url.scheme not in ("data", "blob")}

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        async for text in self._socket:
            message = orjson.loads(text)
            if "id" in message:
                answered = self._waiting.pop(message["id"])
                if answered.done():  # whoever asked gave up
                    continue
                if "error" in message:
                    answered.set_exception(DevToolsError(message["error"]["message"]))
                else:
                    answered.set_result(message.get("result", {}))
            else:
                self._note(message["method"], message["params"])

    def _note(self, event: str, details: dict[str, Any]) -> None:
        match event:
            case "Network.requestWillBeSent":
                self.requested.append(details["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(str(details["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if details["type"] == "error":
                self.errors.append(str(details["args"]))
            case "Log.entryAdded" if details["entry"]["level"] == "error":
                self.errors.append(str(details["entry"]))


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """Start a Chromium of its own and give its one tab."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    assert binary is not None, "Chromium is missing: run `make install-system`"
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            binary,
            *OPTIONS,
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with connect(await _address(Path(folder)), max_size=2**26) as socket:
                tab = Page(socket)
                yield tab
                await tab.close()
        finally:
            process.kill()
            await process.wait()


async def _address(folder: Path) -> str:
    """Wait for the tab's address, which Chromium tells over the port that it wrote down."""
    written = folder / "DevToolsActivePort"
    await until(lambda: written.exists() and "\n" in written.read_text(), PATIENCE_SECONDS)
    port = written.read_text().split()[0]
    async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient() as client:
        while True:
            found = (await client.get(f"http://127.0.0.1:{port}/json/list")).json()
            for target in found:
                if target["type"] == "page":
                    return str(target["webSocketDebuggerUrl"])
            await asyncio.sleep(0.02)
