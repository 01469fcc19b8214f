"""A server that is slow, broken, huge or not to be trusted."""

import asyncio
import gzip
import os
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from features.errors import KeyRefusedError, SourceAwayError, SourceRefusedError, TooMuchAskedError
from features.sources.http.connection import Limits
from tests.features.sources.prometheus.lying import (
    GOOD,
    QUICK,
    SILENCE,
    START,
    Liar,
    asked_once,
    asking,
    failure,
    hang_up,
    lying,
    reply,
    serving,
)
from tests.ports import any_free_port

TOKEN = "s3cr3t-t0k3n"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_it_is_patient_with_what_passes(status: int) -> None:
    async with lying(reply(status, b"busy"), GOOD) as liar, asking(liar.url) as api:
        (sample,) = await api.query("up", START)
    assert sample.value == 1.5
    assert len(liar.asked) == 2


@pytest.mark.parametrize("broken", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf"])
async def test_a_connection_that_breaks_is_tried_again(broken: bytes) -> None:
    async with lying(broken, GOOD) as liar, asking(liar.url) as api:
        assert len(await api.query("up", START)) == 1
    assert len(liar.asked) == 2


async def test_its_patience_ends() -> None:
    error, liar = await asked_once(reply(503, b"busy"))
    assert isinstance(error, SourceAwayError)
    assert "'prod'" in str(error)
    assert "it answered 503, 3 times asked" in str(error)
    assert len(liar.asked) == 3


async def test_it_waits_as_long_as_it_is_asked_to() -> None:
    wait = reply(429, b"", "retry-after: 1")
    began = time.monotonic()
    async with lying(wait, GOOD) as liar, asking(liar.url) as api:
        await api.query("up", START)
    assert time.monotonic() - began >= 1.0


async def test_it_does_not_wait_for_an_hour() -> None:
    error, liar = await asked_once(reply(429, b"", "retry-after: 3600"))
    assert isinstance(error, SourceAwayError)
    assert len(liar.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 422, 302])
async def test_a_refusal_is_final(status: int) -> None:
    error, liar = await asked_once(failure(status, "bad_data", "no such thing"))
    assert type(error) is SourceRefusedError
    assert len(liar.asked) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_refused_is_an_outage_that_names_its_file(
    status: int, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    answer = failure(status, "unauthorized", f"no such key: {TOKEN}")
    async with lying(answer) as liar, asking(liar.url, token_file=file) as api:
        with pytest.raises(SourceAwayError, match=f"answered {status}") as raised:
            await api.query("up", START)
    assert isinstance(raised.value, KeyRefusedError)
    assert f"token_file {file}" in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert len(liar.asked) == 1
    error, _ = await asked_once(answer)
    assert "--token-file" in str(error)


async def test_an_error_of_the_server_is_not_the_mappings() -> None:
    error, liar = await asked_once(failure(500, "internal", "disk on fire\nhelp"))
    assert isinstance(error, SourceAwayError)
    assert "disk on fire help" in str(error)
    assert len(liar.asked) == 1


TOO_MUCH = [
    failure(422, "execution", "query processing would load too many samples into memory"),
    failure(503, "timeout", "query timed out in expression evaluation"),
    failure(400, "bad_data", "exceeded maximum resolution of 11,000 points"),
]


@pytest.mark.parametrize("said", TOO_MUCH)
async def test_less_may_be_asked_where_it_was_too_much(said: bytes) -> None:
    error, liar = await asked_once(said)
    assert type(error) is TooMuchAskedError
    assert len(liar.asked) == 1


async def test_nobody_there() -> None:
    async with asking(f"http://127.0.0.1:{any_free_port()}") as api:
        with pytest.raises(SourceAwayError, match="3 times asked"):
            await api.query("up", START)


async def test_one_that_says_nothing_is_not_waited_for() -> None:
    error, liar = await asked_once(SILENCE, limits=Limits(answer_seconds=0.1))
    assert isinstance(error, SourceAwayError)
    assert f"api/v1/query at {liar.url} took over 0.1 s" in str(error)
    assert len(liar.asked) == 1


async def test_one_that_drips_is_not_waited_for_either() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with pytest.raises(OSError):  # noqa: PT011, PT012 - until the other one hangs up
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        await hang_up(writer)

    async with serving(drip) as url, asking(url, limits=Limits(answer_seconds=0.2)) as api:
        with pytest.raises(SourceAwayError, match=r"took over 0\.2 s"):
            await api.query("up", START)


HUGE = b"[" + b"0," * 1_000_000 + b"0]"


@pytest.mark.parametrize(
    "huge", [reply(200, HUGE), reply(200, gzip.compress(HUGE), "content-encoding: gzip")]
)
async def test_a_huge_answer_is_not_read_to_its_end(huge: bytes) -> None:
    error, _ = await asked_once(huge, limits=Limits(most_bytes=100_000))
    assert type(error) is TooMuchAskedError
    assert "100000 bytes" in str(error)


async def test_a_token_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    async with lying(GOOD) as liar, asking(liar.url, token_file=file) as api:
        await api.query("up", START)
        file.write_text("another-t0k3n\n")
        await api.query("up", START)
    sent = [asked.headers["authorization"] for asked in liar.asked]
    assert sent == [f"bearer {TOKEN}", "bearer another-t0k3n"]


@pytest.mark.parametrize("content", [None, "", "two words", "two\nlines", "ä"])
async def test_a_token_file_without_a_token(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    async with lying(GOOD) as liar, asking(liar.url, token_file=file) as api:
        with pytest.raises(KeyRefusedError, match="token_file: ") as raised:
            await api.query("up", START)
    assert str(file) in str(raised.value)
    assert not content or content not in str(raised.value).replace(str(file), "")
    assert liar.asked == []


async def test_no_message_tells_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    echo = failure(400, "bad_data", f"what is Bearer {TOKEN}?")
    async with lying(echo) as liar, asking(liar.url, token_file=file) as api:
        with pytest.raises(SourceRefusedError, match=r"Bearer \*\*\*") as raised:
            await api.query("up", START)
    assert TOKEN not in str(raised.value)


async def test_no_message_tells_what_stands_in_the_url() -> None:
    async with asking(f"http://me:{TOKEN}@127.0.0.1:{any_free_port()}") as api:
        with pytest.raises(SourceAwayError) as raised:
            await api.query("up", START)
    assert TOKEN not in str(raised.value)


async def test_a_certificate_is_verified_unless_told_otherwise(tmp_path: Path) -> None:
    trust = _own_certificate(tmp_path)
    liar = Liar([GOOD])
    async with serving(liar.answer, trust) as url:
        async with asking(url) as api:
            with pytest.raises(SourceRefusedError, match="certificate is not trusted"):
                await api.query("up", START)
        assert liar.asked == []
        async with asking(url, verify_tls=False) as api:
            assert len(await api.query("up", START)) == 1


def _own_certificate(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "key", folder / "certificate"
    making = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-batch")
    files = ("-subj", "/CN=127.0.0.1", "-keyout", key, "-out", certificate)
    subprocess.run((*making, *files), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_proxies_of_the_machine_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HTTP_PROXY", f"http://127.0.0.1:{any_free_port()}")
    async with lying(GOOD) as liar, asking(liar.url) as api:
        assert len(await api.query("up", START)) == 1


async def test_few_are_asked_at_once() -> None:
    busy = most = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0)
        writer.write(GOOD)
        await writer.drain()
        busy -= 1
        await hang_up(writer)

    async with serving(answer) as url, asking(url) as api:
        await asyncio.gather(*(api.query("up", START) for _ in range(30)))
    assert most <= QUICK.at_once


async def test_the_token_goes_to_no_other_place(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    async with lying(GOOD) as other:
        moved = reply(307, b"", f"location: {other.url}/api/v1/query")
        async with lying(moved) as liar, asking(liar.url, token_file=file) as api:
            with pytest.raises(SourceRefusedError, match="answered 307"):
                await api.query("up", START)
    assert other.asked == []


async def test_what_is_disconnected_opens_nothing_for_a_question_that_comes_late() -> None:
    async with lying(GOOD) as liar, asking(liar.url) as api:
        await api.close()
        with pytest.raises(SourceAwayError, match="disconnected"):
            await api.query("up", START)
    assert liar.asked == []
