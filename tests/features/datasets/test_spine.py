"""Which rows a training set has: as they were written down, in blocks, each in one of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.datasets import blocks as cut
from features.datasets.blocks import STRETCH_SECONDS, blocks
from features.datasets.spine import Spine
from features.datasets.spine_file import read_spine
from features.errors import BadSpineError
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import telemetry_of

NOON = 1_773_144_000


def test_a_time_is_taken_down_to_its_millisecond() -> None:
    spine = Spine.of(["a"] * 3, [NOON + 0.137, NOON + 0.1379, NOON + 0.0009], 10)
    assert (spine.at_ms - NOON * 1000).tolist() == [137, 137, 0]


def test_steps_are_whole_ones_within_the_range() -> None:
    spine = Spine.every(["a", "b"], NOON + 1, NOON + 1200, 600, 10)
    assert spine.entity.tolist() == ["a", "b"]
    assert spine.at_ms.tolist() == [(NOON + 600) * 1000] * 2
    with pytest.raises(BadSpineError, match="that is 40 rows; from 1 to 10"):
        Spine.every(["a", "b"], NOON, NOON + 1200, 60, 10)
    with pytest.raises(BadSpineError, match="row 1 has nan"):
        Spine.of(["a", "b"], [1.0, np.nan], 10)


def test_the_hash_is_of_entities_times_and_their_order() -> None:
    seen = {
        Spine.of(names, times, 10).hash
        for names, times in [
            (["a", "b"], [1.0, 2.0]),
            (["b", "a"], [1.0, 2.0]),
            (["a", "b"], [2.0, 1.0]),
            (["ab", ""], [1.0, 2.0]),
        ]
    }
    assert len(seen) == 4


def test_every_row_is_in_one_block_and_no_block_is_too_large(
    empty: EmbeddedClickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "MOST_ROWS", 10)
    monkeypatch.setattr(cut, "MOST_VALUES", 12)
    minutes = {(f"e{at}", NOON + 60 * each): {"cpu": 0.5} for at in range(4) for each in range(4)}
    append(empty, telemetry_of(minutes), source="prom", known_ms=NOON * 1000)
    rng = np.random.default_rng(5)
    times = NOON + rng.choice([60.0, 120.0, 2 * STRETCH_SECONDS], 60)
    spine = Spine.of([f"e{at}" for at in rng.integers(0, 5, 60)], times.tolist(), 100)
    found = [*blocks(empty, spine, features=2, reach_seconds=86_400)]
    places = np.concatenate([each.places for each in found])
    assert sorted(places.tolist()) == list(range(60))
    for each in found:
        assert len(each.places) <= 6
        assert len(each.entities) <= 2
        assert set(spine.entity[each.places].tolist()) == set(each.entities)
        assert list(each.entities) == sorted(each.entities)
        assert np.ptp(spine.at_ms[each.places]) < STRETCH_SECONDS * 1000


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_files_of_each_kind_say_the_same(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"spine.{kind}"
    if kind == "csv":
        file.write_text("label,time,entity\n1,2026-03-10T12:00:00Z,a\n0,2026-03-10T12:01:00Z,b\n")
    elif kind == "json":
        file.write_text(
            f'[{{"entity": "a", "time": {NOON}}}, {{"entity": "b", "time": {NOON + 60}}}]'
        )
    else:
        times = pa.array([NOON * 1000, (NOON + 60) * 1000], pa.timestamp("ms"))
        pq.write_table(pa.table({"entity": ["a", "b"], "time": times}), file)
    assert read_spine(file) == (["a", "b"], [NOON, NOON + 60])


def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for name, text, words in [
        ("a.csv", "entity,when\na,1\n", "no column 'time'; its columns are: entity, when"),
        ("a.txt", "", "'.txt' is none of"),
        ("a.json", "[", "cannot be read"),
        ("b.json", '[{"entity": "a", "time": "noon"}]', "row 0 has 'noon', which is no time"),
        ("none.csv", None, "cannot be read"),
    ]:
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(BadSpineError, match=words):
            read_spine(tmp_path / name)
