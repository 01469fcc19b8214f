from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import orjson
import pytest

from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger import sample
from observability.ledger.archive import Archive
from observability.ledger.decision import Decision, DecisionIds, time_of
from observability.schema import create_tables
from tests.observability.ledger.chains import first_entry

BEGUN_MS = 1_772_461_800_000
ROWS = 3_000


def decisions(seed: int) -> list[Decision]:
    """Make one a second, of two families and three entities; every other one from a model."""
    draw, times = np.random.default_rng(seed), count(BEGUN_MS // 1000)
    ids = DecisionIds(lambda: float(next(times)), draw.bytes)
    found = []
    for at in range(ROWS):
        (decision_id,) = ids.take(1)
        row = {
            "decision_id": decision_id,
            "endpoint": "/models/tail-slo",
            "family": "tail" if at % 3 else "capacity",
            "entity": f"service-{at % 5}",
            "model_version": "1",
            "config_version": 1,
            "answer": {"meta": {"rung": "model" if at % 2 else "baseline"}},
        }
        found.append(Decision(decision_id, orjson.dumps(row)))
    return found


@pytest.fixture(scope="module")
def made() -> list[Decision]:
    return decisions(1)


@pytest.fixture(scope="module")
def store(
    made: list[Decision], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedClickhouse]:
    folder: Path = tmp_path_factory.mktemp("archive")
    with EmbeddedClickhouse(folder / "chdb") as store:
        create_tables(store)
        Archive(store).add([first_entry(made, BEGUN_MS)])
        # A drain that was killed stores again what it had stored.
        store.execute("INSERT INTO decisions SELECT * FROM decisions LIMIT 100")
        yield store


def test_what_is_counted_is_what_was_decided_in_that_time(
    store: EmbeddedClickhouse, made: list[Decision]
) -> None:
    all_of_it = sample.count(store, BEGUN_MS, BEGUN_MS + ROWS * 1000)
    assert all_of_it == Counter(orjson.loads(each.row)["family"] for each in made)
    since, before = BEGUN_MS + 500_000, BEGUN_MS + 900_000
    assert sum(sample.count(store, since, before).values()) == 400
    drawn = sample.draw(store, since, before, "salt", 1_000)
    within = [time_of(each) for each in drawn]
    assert len(drawn) == 400
    assert all(ms is not None and since <= ms < before for ms in within)


def test_the_first_of_a_longer_sample_are_the_shorter_one(store: EmbeddedClickhouse) -> None:
    within = BEGUN_MS, BEGUN_MS + ROWS * 1000
    longer = sample.draw(store, *within, "salt", 1_000)
    assert len(set(longer)) == 1_000
    assert sample.draw(store, *within, "salt", 200) == longer[:200]
    assert sample.draw(store, *within, "another", 200) != longer[:200]


def test_each_decision_is_as_likely_to_be_drawn(
    store: EmbeddedClickhouse, made: list[Decision]
) -> None:
    within, salts = (BEGUN_MS, BEGUN_MS + ROWS * 1000), 40
    drawn = Counter(
        each for salt in range(salts) for each in sample.draw(store, *within, f"{salt}", 300)
    )
    # 40 draws of a tenth each: as a binomial of 40 and 0.1, whose variance is 3.6.
    counts = np.array([drawn[each.decision_id] for each in made])
    assert counts.mean() == pytest.approx(4.0)
    assert counts.var() == pytest.approx(3.6, rel=0.15)


def test_an_entitys_answers_before_a_decision_come_newest_first(
    store: EmbeddedClickhouse, made: list[Decision]
) -> None:
    rows = [orjson.loads(each.row) for each in made]
    of = 2_000
    since_ms = BEGUN_MS + (of - 120) * 1000
    expected = [
        row["decision_id"]
        for row in reversed(rows[of - 120 : of])
        if (row["family"], row["entity"]) == (rows[of]["family"], rows[of]["entity"])
        and row["answer"]["meta"]["rung"] == "model"
    ]
    scope = (made[of].decision_id, rows[of]["family"], rows[of]["entity"], since_ms)
    found = [orjson.loads(row)["decision_id"] for row in sample.before(store, *scope, 3)]
    assert len(expected) > 3
    assert found == expected[:3]
