"""Makes a training set and verifies one, by asking the platform that runs here."""

import asyncio
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from features.datasets.file import ABOUT, sampled
from features.datasets.spine_file import read_spine
from features.datasets.verify import certificate_faults, differences
from launch.errors import LaunchError
from launch.platform_client import accepted, fetch
from launch.progress import Progress

LOOK_SECONDS = 0.25
PATH = "/features/datasets"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, in lines; not `sound` where the set is not what its certificate says."""

    sound: bool
    lines: list[str]


def dataset_query(spine: Path, features: list[str], sample: int) -> Body:
    """Read which rows are wanted; raises BadSpineError."""
    rows = read_spine(spine)
    return {
        "features": features,
        "rows": {"entity": rows.entity, "time": rows.time},
        "sample": sample,
    }


async def make(client: httpx.AsyncClient, query: Body, out: Path) -> list[str]:
    """Have a set made; gives lines that tell what it has."""
    with Progress().bar("Making the training set") as share:
        certificate = await make_dataset(client, query, out, _as_progress(share))
    certificate_of(out).write_bytes(orjson.dumps(certificate, option=orjson.OPT_INDENT_2))
    counts, proof = certificate["counts"], certificate["replay"]
    missing = sum(1 for each in counts["missing"].values() if each == counts["rows"])
    lines = [
        f"{out}: {counts['rows']:,} rows, {len(counts['missing'])} features",
        f"  {counts['served']:,} rows as they were served",
        f"  {counts['unknown']:,} rows of which nothing was known at their time",
        f"  {proof['rows']:,} rows computed again by the live path: all equal",
        f"  {proof['recorded']:,} of them held against what it had published: all equal",
        f"  certificate: {certificate_of(out)}",
    ]
    if missing:
        lines.insert(3, f"  {missing} features have no value in any row")
    return lines


async def verify(client: httpx.AsyncClient, file: Path, sample: int) -> Verdict:
    """Hold a file against its certificate, and rows of it against the same made once more."""
    certificate = _read_certificate(file)
    defined = await fetch(client, "GET", "/features/definitions")
    versions = {each["name"]: each["version"] for each in defined["features"]}
    faults = certificate_faults(file, certificate, versions)
    if faults:
        return _unsound(file, faults)
    before = sampled(file, sample, secrets.randbits(64))
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "again.parquet"
        with Progress().bar("Making rows once more") as share:
            await make_dataset(client, _query(before), again, _as_progress(share))
        faults = differences(before, pq.read_table(again))
    if faults:
        return _unsound(file, faults)
    line = f"{file} is what its certificate says; {len(before):,} rows made once more are equal."
    return Verdict(sound=True, lines=[line])


async def make_dataset(
    client: httpx.AsyncClient, query: Body, file: Path, progress: Callable[[int, int], None]
) -> Body:
    """Have a training set made, and write it to a file; gives its certificate."""
    job = await fetch(client, "POST", PATH, query)
    while job["state"] in {"queued", "running"}:
        progress(job["done_rows"], job["rows"])
        await asyncio.sleep(LOOK_SECONDS)
        job = await fetch(client, "GET", f"{PATH}/{job['id']}")
    if job["state"] != "done":
        raise LaunchError(f"The training set was {job['state']}: {job['reason'] or 'by somebody'}")
    progress(job["rows"], job["rows"])
    await _download(client, f"{PATH}/{job['id']}/file", file)
    await fetch(client, "DELETE", f"{PATH}/{job['id']}")
    certificate: Body = job["certificate"]
    return certificate


async def _download(client: httpx.AsyncClient, path: str, file: Path) -> None:
    async with client.stream("GET", path) as answer:
        if not answer.is_success:
            await answer.aread()
        accepted("GET", path, answer)
        try:
            with file.open("wb") as opened:
                async for piece in answer.aiter_bytes():
                    opened.write(piece)
        except OSError as error:
            raise LaunchError(f"{file} cannot be written: {error.strerror or error}.") from None


def _unsound(file: Path, faults: list[str]) -> Verdict:
    return Verdict(sound=False, lines=[f"{file}: {each}" for each in faults])


def certificate_of(file: Path) -> Path:
    return file.with_suffix(".certificate.json")


def _query(rows: pa.Table) -> Body:
    times = [each / 1000 for each in rows["time"].cast(pa.int64()).to_pylist()]
    return {
        "features": [name for name in rows.column_names if name not in ABOUT],
        "rows": {"entity": rows["entity"].to_pylist(), "time": times},
        "sample": 0,
    }


def _read_certificate(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(certificate_of(file).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise LaunchError(
            f"The certificate {certificate_of(file)} cannot be read: {error}"
        ) from None
    return found


def _as_progress(share: Callable[[float, str], None]) -> Callable[[int, int], None]:
    return lambda done, of: share(done / max(of, 1), f"{done:,} of {of:,} rows")
