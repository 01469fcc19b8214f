"""Looks at log files that are to be connected, and reads them once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
from pydantic import ValidationError

from config_store.sources import LogsSource, PostedLogsSource
from deployments.telemetry.sample import INTERVALS, read_interval, read_logs
from features.sources.logs.config import LineRules, LogRules
from features.sources.logs.ends import read_ends
from features.sources.logs.intervals import QUANTILES
from features.sources.logs.patterns import LineRead, LineReader
from features.sources.logs.proposal import LogProposal, Stated, propose
from features.sources.source import Gathered
from launch.errors import LaunchError
from launch.sources.gathered_text import complaint_lines, entities_of, metric_lines
from launch.sources.validation import checked, read_file, wrong


def look_at(name: str, patterns: Sequence[str], stated: Stated) -> LogProposal:
    """Read the ends of the files, and propose what their fields mean."""
    # Another process, in another folder, is to find them too.
    paths = [str(Path(pattern).absolute()) for pattern in patterns]
    try:
        return propose(paths, read_ends(paths), stated, name=name)
    except ValidationError as refusal:
        raise wrong(refusal) from None


def logs_source(name: str, rules: LogRules, cadence_seconds: int, lateness: int) -> LogsSource:
    return checked(
        name,
        lambda: LogsSource(lines=rules, cadence_seconds=cadence_seconds, lateness_seconds=lateness),
    )


def posted_source(
    name: str, rules: LineRules, cadence_seconds: int, lateness: int
) -> PostedLogsSource:
    """Give a source of lines that clients post."""
    return checked(
        name,
        lambda: PostedLogsSource(
            lines=rules, cadence_seconds=cadence_seconds, lateness_seconds=lateness
        ),
    )


def without_paths(rules: LogRules) -> LineRules:
    """Give rules that hold for the same lines wherever they come from."""
    return LineRules.model_validate(rules.model_dump(exclude={"paths"}))


def read_line_rules(file: Path) -> LineRules:
    """Read rules of the user's own for posted lines; which files they were made of is no matter."""
    try:
        return read_file(file, "rules", _line_rules)
    except orjson.JSONDecodeError as error:
        raise LaunchError(f"The rules in {file} are no JSON: {error}.") from None


def _line_rules(text: bytes) -> LineRules:
    found = orjson.loads(text)
    if isinstance(found, dict):
        found.pop("paths", None)
    return LineRules.model_validate_json(orjson.dumps(found))


def read_rules(file: Path) -> LogRules:
    """Read rules of the user's own."""
    return read_file(file, "rules", LogRules.model_validate_json)


def newest_time(rules: LogRules) -> float | None:
    """Give the time of the newest line that the rules can read."""
    read = map(LineReader(rules).read, (line.text for line in read_ends(rules.paths).lines))
    return max((each.time for each in read if isinstance(each, LineRead)), default=None)


async def sample(name: str, source: LogsSource, newest: float | None, now: datetime) -> str:
    """Say what the newest interval gives that the lines fill, which may be long ago."""
    cadence = source.cadence_seconds
    at = now.timestamp() if newest is None else min(newest, now.timestamp())
    begun = int(at // cadence) * cadence
    # The interval before the one that has begun is whole; where it is empty that one has to do.
    for start in (begun - cadence, begun):
        stop = start + cadence
        found = await read_interval(name, source, start, stop, stop + source.lateness_seconds)
        if len(found.telemetry):
            return "\n".join(_interval(found, source, start))
    return "\n".join(
        ["No line of the last interval tells of a request.", *complaint_lines(found.complaints)]
    )


async def check_logs(name: str, source: LogsSource, now: datetime) -> list[str]:
    """Read the files once, and say what the last intervals give; no position moves."""
    found = (await read_logs(name, source, now.timestamp())).gathered
    rows = found.telemetry
    entities = entities_of(rows)
    named = f": {', '.join(entities)}" if entities else ""
    minutes = INTERVALS * source.cadence_seconds / 60
    return [
        f"{name} gives {len(rows)} rows of {len(entities)} entities in {minutes:g} min{named}.",
        *(metric_lines(rows, _metrics(source.lines)) if len(rows) else ()),
        *complaint_lines(found.complaints),
    ]


def _interval(found: Gathered, source: LogsSource, start: int) -> list[str]:
    begins = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        f"The interval from {begins} gives {len(found.telemetry)} rows:",
        *metric_lines(found.telemetry, _metrics(source.lines)),
        *complaint_lines(found.complaints),
    ]


def _metrics(rules: LogRules) -> list[str]:
    errors = any(each.kind == "error" for each in rules.patterns)
    return [
        "request_rate",
        *(["error_rate"] if errors else []),
        *(QUANTILES if rules.latency is not None else []),
    ]
