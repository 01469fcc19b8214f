"""Makes a point-in-time training set of 17,000 rows and 1,000 features, and says what it cost.

python -m benchmarks.datasets.point_in_time [--entities 100] [--days 28] [--threads 2]

The features are ten groups of a hundred: statistics of twelve metrics over ten windows, from five
minutes to seven days. Nothing of them is computed beforehand: each is computed of the minutes of
telemetry that were known at the row's moment. One row in fifty was corrected an hour later, and
each day one hour of telemetry came six hours late. The store is filled in a process of its own, so
that the memory named is that of making the set.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from config_store.sources import EntityFacts
from features.datasets.build import Wanted
from features.datasets.certificate import make
from features.datasets.spine import Spine
from features.definitions.catalogue import Catalogue
from features.definitions.definition import DAY, HOUR, MINUTE, Definition, Kind, Statistic, Window
from features.telemetry.merged import Scope
from features.telemetry.rolling import rolling
from features.telemetry.tables import METRICS, create_measurements
from features.vectors.as_of import settled_step
from observability.clickhouse.embedded import EmbeddedClickhouse

START = 1_773_144_000
SPANS = tuple(MINUTE * each for each in (5, 15, 30, 60, 120, 240, 360, 720, 1440, 10_080))
STATISTICS: tuple[tuple[Statistic, float | None], ...] = (
    *(("mean", None), ("sd", None), ("min", None), ("max", None), ("last", None)),
    *(("quantile", 0.05), ("quantile", 0.5), ("quantile", 0.95)),
)
A_GROUP = 100
COMPARED = 5


def definitions() -> list[Definition]:
    """Give ten groups of a hundred windows: twelve metrics, each by eight statistics or nine."""
    found = []
    for seconds in SPANS:
        step = HOUR if seconds > DAY else 10 * MINUTE if seconds == DAY else MINUTE
        kinds = [(name, *each) for each in STATISTICS for name in METRICS]
        kinds += [(name, "quantile", 0.99) for name in METRICS]
        for column, statistic, quantile in kinds[:A_GROUP]:
            name = f"{column}_{statistic}{round((quantile or 0) * 100)}_over_{seconds}_s"
            computed = Window(column, statistic, seconds, step, quantile)
            found.append(Definition(name, Kind.BATCH, "", "", computed))
    return found


def fill(folder: Path, entities: int, days: int) -> None:
    """Write a store as a platform of so many entities has it after so many days."""
    with EmbeddedClickhouse(folder) as store:
        create_measurements(store)
        minutes = days * DAY // MINUTE
        for first in range(0, minutes, 7 * DAY // MINUTE):
            rows = min(7 * DAY // MINUTE, minutes - first) * entities
            source = f"FROM numbers({first * entities}, {rows})"
            _insert(store, source, entities, "if(minute % 1440 < 60, 21600, 62 + number % 15)", 1)
            _insert(store, f"{source} WHERE cityHash64(number) % 50 = 0", entities, "3660", 2)
            _publish(store, source, entities)


def _insert(store: EmbeddedClickhouse, source: str, entities: int, late: str, salt: int) -> None:
    # Each metric has a level of its own, a day's rhythm and noise.
    values = ", ".join(
        f"{10 * (at + 1)} * (2 + sin(minute / 229.2) + sipHash64(number, {at}, {salt}) / 1.9e19)"
        for at in range(len(METRICS))
    )
    ts = f"toDateTime({START} + minute * 60, 'UTC')"
    store.execute(
        f"INSERT INTO measurements WITH intDiv(number, {entities}) AS minute,"
        f" {_entity(entities)} AS name"
        f" SELECT {ts}, name, 'prometheus', toDateTime64({ts}, 3, 'UTC') + {late}, {values},"
        f" [], '', 0, 0, '', {salt} {source}"
    )


def _publish(store: EmbeddedClickhouse, source: str, entities: int) -> None:
    store.execute(
        f"INSERT INTO publications WITH intDiv(number, {entities}) AS minute,"
        f" toDateTime64({START} + minute * 60, 3, 'UTC') + 62 + number % 15 AS known"
        f" SELECT {_entity(entities)}, addMilliseconds(known, 400), addMilliseconds(known, 100),"
        f" 60, 'bench', 0 {source}"
    )


def _entity(entities: int) -> str:
    return f"concat('service-', leftPad(toString(number % {entities}), 3, '0'))"


def measure(folder: Path, rows: int, entities: int, days: int, threads: int) -> None:
    """Make the set, and print what it cost."""
    catalogue = Catalogue(definitions())
    names = tuple(each.name for each in definitions())
    wanted = Wanted(catalogue, names, lambda _: EntityFacts())
    rng = np.random.default_rng(7)
    services = np.array([f"service-{at:03}" for at in range(entities)])
    seconds = START + np.sort(rng.uniform(7 * DAY, days * DAY, rows))
    spine = Spine.of(services[rng.integers(0, entities, rows)].tolist(), seconds.tolist(), rows)
    path = folder / "dataset.parquet"
    with EmbeddedClickhouse(folder / "store") as store:
        began, worked = time.perf_counter(), time.process_time()
        certificate = make(
            store, wanted, spine, path, progress=lambda *_: None, threads=threads, sample=0
        )
        took, processor = time.perf_counter() - began, time.process_time() - worked
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        counts = certificate["counts"]
        missing = sum(counts["missing"].values())
        print(
            f"{rows:,} rows x {len(names):,} features of {entities} entities over {days} days: "
            f"{took:.1f} s ({processor:.1f} s of processor time, {threads} threads), peak memory "
            f"{peak:,.0f} MB, file {certificate['file']['bytes'] / 1e6:,.0f} MB, "
            f"{counts['served']:,} rows served, {missing:,} values missing",
            flush=True,
        )
        compare(store, path, spine)


def compare(store: EmbeddedClickhouse, path: Path, spine: Spine) -> None:
    """Compute some rows by the statements of the live path; SystemExit where one differs."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - not while the time is taken

    table = pq.read_table(path)
    values = 0
    for place in np.random.default_rng(11).choice(len(spine), COMPARED, replace=False).tolist():
        row = table.slice(place, 1).to_pylist()[0]
        moment = row["moment"].timestamp()
        values += len(definitions())
        for seconds in SPANS:
            group = {
                each.name: each.computed
                for each in definitions()
                if isinstance(each.computed, Window) and each.computed.seconds == seconds
            }
            step = settled_step(moment, next(iter(group.values())).step_seconds)
            scope = Scope(step - seconds, step, [row["entity"]], step * 1000)
            found = rolling(store, group, scope).get(row["entity"])
            if found is None:
                continue
            for name, value in found.items():
                mine = np.nan if row[name] is None else row[name]
                if mine != value and not (np.isnan(mine) and np.isnan(value)):
                    raise SystemExit(f"{row['entity']} {moment} {name}: {mine} is not {value}")
    print(f"{values:,} values of {COMPARED} rows are those of the live path's statements.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=17_000)
    parser.add_argument("--entities", type=int, default=100)
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fill is not None:
        fill(asked.fill, asked.entities, asked.days)
        return
    with tempfile.TemporaryDirectory(prefix="ballast-bench-") as name:
        folder = Path(name)
        size = ["--entities", str(asked.entities), "--days", str(asked.days)]
        command = [sys.executable, "-m", "benchmarks.datasets.point_in_time", *size]
        subprocess.run([*command, "--fill", str(folder / "store")], check=True)
        measure(folder, asked.rows, asked.entities, asked.days, asked.threads)


if __name__ == "__main__":
    main()
