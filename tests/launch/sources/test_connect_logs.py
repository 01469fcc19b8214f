"""`ballast connect logs` and what is said of such sources, with real files and a real Redis."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from config_store.sources import LogsSource, PostedLogsSource, SourceConfig
from config_store.store import ConfigStore
from features.sources.logs.config import LatencyField, TimeField
from launch.cli import app

pytestmark = pytest.mark.usefixtures("settings")


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(words)))


async def sources(redis: Redis) -> dict[str, SourceConfig]:
    return (await ConfigStore(redis).active()).document.sources.named


def lines(begin: int, seconds: int, **further: Any) -> Iterator[str]:
    """Write ten requests a second of two services, of which the first of each ten failed."""
    for at in range(begin, begin + seconds):
        for tenth in range(10):
            line = {
                "ts": at + tenth / 10,
                "service": ("orders", "search")[tenth % 2],
                "status": 500 if tenth == 0 else 200,
                "duration_ms": tenth + 1,
                **further,
            }
            yield json.dumps(line) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give one with a log of five minutes, rotated in their middle."""
    # Of intervals that are over for as long as a line may be late.
    begin = int(time.time() - 10) // 60 * 60 - 300
    found = tmp_path / "logs"
    found.mkdir()
    (found / "access.log.1").write_text("".join(lines(begin, 150)))
    (found / "access.log").write_text("".join(lines(begin + 150, 150)))
    return found


async def test_files_are_looked_at_shown_and_connected(redis: Redis, folder: Path) -> None:
    words = ["connect", "logs", "shop", f"{folder}/access.log*"]
    dry = await invoke(*words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert await redis.get(ConfigStore(redis).active_key) is None
    unsaid = await invoke(*words)
    assert unsaid.exit_code == 1
    assert "again with --yes" in unsaid.output

    done = await invoke(*words, "--yes", "--cadence", "30", "--lateness", "2")
    assert done.exit_code == 0, done.output
    assert "2 files; the last 2000 lines were looked at." in done.output
    assert "They are of 2 services: orders, search." in done.output
    assert re.search(r"duration_ms +10 +100% +request_rate, p50_ms", done.output)
    assert re.search(r"status +200 +100% +error_rate \(by the status\)", done.output)
    assert "request_rate    in 100% of the rows, from 5 to 5" in done.output
    assert "error_rate      in 100% of the rows, from 0 to 0.2" in done.output
    assert "p50_ms          in 100% of the rows, from 5 to 6" in done.output
    source = (await sources(redis))["shop"]
    assert isinstance(source, LogsSource)
    assert (source.cadence_seconds, source.lateness_seconds) == (30, 2)
    assert source.lines.paths == (f"{folder}/access.log*",)
    assert source.lines.time == TimeField(field="ts", format="s")
    assert source.lines.latency == LatencyField(field="duration_ms", unit="ms")
    again = await invoke(*words, "--yes")
    assert again.exit_code == 1
    assert f"connected already ({folder}/access.log*)" in again.output
    listed = (await invoke("sources", "list")).output
    assert re.search(rf"shop +logs +unknown +{folder}/access\.log\*", listed)


async def test_a_log_of_long_ago_is_sampled_at_its_own_end(folder: Path) -> None:
    old = folder / "old.log"
    old.write_text("".join(lines(1_772_461_800, 90)))
    done = await invoke("connect", "logs", "shop", str(old), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "The interval from 2026-03-02T14:30:00Z gives 2 rows:" in done.output
    assert "request_rate    in 100% of the rows, from 5 to 5" in done.output


async def test_a_check_reads_what_is_there_and_moves_nothing(redis: Redis, folder: Path) -> None:
    await invoke("connect", "logs", "shop", f"{folder}/access.log*", "--yes")
    with (folder / "access.log").open("a") as log:
        log.write("no JSON\n")
    before = {key async for key in redis.scan_iter()}
    for _ in range(2):  # the second sees what the first saw
        checked = await invoke("sources", "check", "shop")
        assert checked.exit_code == 0, checked.output
        assert "shop gives 10 rows of 2 entities in 10 min: orders, search." in checked.output
        assert "request_rate    in 100% of the rows, from 5 to 5" in checked.output
        assert "schema, 1 times: the line is no JSON (7 bytes)" in checked.output
    assert {key async for key in redis.scan_iter()} == before
    for name in ("access.log", "access.log.1"):
        (folder / name).unlink()
    gone = await invoke("sources", "check", "shop")
    assert (gone.exit_code, gone.output.count("\n")) == (1, 1)
    assert "no file lies under" in gone.output


async def test_rules_are_saved_completed_and_connected(
    redis: Redis, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rules.json"
    pattern = f"{folder}/access.log*"
    saved = await invoke("connect", "logs", "shop", pattern, "--dry-run", "--save-rules", str(file))
    assert saved.exit_code == 0, saved.output
    content = json.loads(file.read_text())
    restart = {"kind": "restart", "where": [{"field": "message", "equals": "listening"}]}
    content["patterns"].append(restart)
    file.write_text(json.dumps(content))
    done = await invoke("connect", "logs", "shop", "--rules", str(file), "--yes")
    assert done.exit_code == 0, done.output
    assert "request_rate    in 100% of the rows, from 5 to 5" in done.output
    source = (await sources(redis))["shop"]
    assert isinstance(source, LogsSource)
    assert [each.kind for each in source.lines.patterns] == ["error", "restart"]
    file.write_text('{"paths": ["/x"]}')
    refused = await invoke("connect", "logs", "other", "--rules", str(file), "--dry-run")
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1), refused.output
    assert "give either entity_field or entity_name" in refused.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere/*.log"], "no file lies under /nowhere/*.log"),
        ([], "Give either the files, or --rules"),
        (["{}/access.log", "--time-field", "when"], "no line has the field when; there are ts,"),
        (["{}/access.log", "--entity-field", "app"], "no line has the field app"),
        (["{}/access.log", "--latency-field", "ts"], "give --latency-unit"),
        (["{}/access.log", "--cadence", "20"], "multiple of 15"),
        (["{}/access.log", "--lateness", "50"], "give a cadence that is a third longer"),
        (["{}/text.log"], "are no JSON objects, as in {}/text.log: '10.0.0.1 - GET /'"),
        (["{}/timeless.log"], "no field is known to hold a time; there are service, status"),
        (["{}/naive.log"], "name no offset: give their zone with --time-zone"),
        (["{}/naive.log", "--time-zone", "Mars/Base"], "'Mars/Base' is no time zone"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(
    words: list[str], said: str, folder: Path
) -> None:
    (folder / "text.log").write_text("10.0.0.1 - GET /\n" * 3)
    (folder / "timeless.log").write_text('{"service": "orders", "status": 200}\n' * 3)
    (folder / "naive.log").write_text('{"time": "2026-03-02T14:30:00", "service": "a"}\n')
    named = [word.replace("{}", str(folder)) for word in words]
    done = await invoke("connect", "logs", "shop", *named, "--dry-run")
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert said.replace("{}", str(folder)) in done.output


async def test_a_relative_name_is_found_from_everywhere(
    redis: Redis, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = await invoke("connect", "logs", "shop", "access.log", "--yes")
    assert done.exit_code == 0, done.output
    source = (await sources(redis))["shop"]
    assert isinstance(source, LogsSource)
    assert source.lines.paths == (f"{folder}/access.log",)


async def test_what_lacks_is_said_with_what_would_help(folder: Path) -> None:
    file = folder / "app.log"
    at = datetime.now(UTC).isoformat()
    file.write_text(json.dumps({"time": at, "elapsed": 0.5, "message": "x"}) + "\n")
    done = await invoke("connect", "logs", "shop", str(file), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "all lines are of shop" in done.output
    assert "It may be elapsed, in a unit that its name does not say" in done.output
    assert "Every line counts as a request." in done.output
    assert "give --status-field" in done.output


@pytest.mark.parametrize("saved", [False, True])
async def test_lines_of_their_kind_are_connected_to_be_posted(
    redis: Redis, folder: Path, tmp_path: Path, saved: bool
) -> None:
    rules = tmp_path / "rules.json"
    files = f"{folder}/access.log*"
    await invoke("connect", "logs", "files", files, "--save-rules", str(rules), "--yes")
    given = ["--rules", str(rules)] if saved else [files]
    done = await invoke("connect", "logs", "shop", "--posted", "--lateness", "7", "--yes", *given)
    assert done.exit_code == 0, done.output
    assert "/telemetry/logs?source=shop" in done.output
    named = await sources(redis)
    found, of_files = named["shop"], named["files"]
    assert isinstance(found, PostedLogsSource)
    assert isinstance(of_files, LogsSource)
    assert found.lines.model_dump() == of_files.lines.model_dump(exclude={"paths"})
    assert found.lateness_seconds == 7
    listed = await invoke("sources", "list")
    assert "lines posted to /telemetry/logs" in listed.output


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"entity_field": 7}'])
async def test_rules_of_posted_lines_that_are_wrong_are_said_to_be(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "rules.json").write_text(content)
    done = await invoke("connect", "logs", "shop", "--posted", "--rules", f"{tmp_path}/rules.json")
    assert done.exit_code == 1
    assert "rules.json" in done.output
