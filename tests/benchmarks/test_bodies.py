import json
import random
from pathlib import Path

from benchmarks.speed.bodies import (
    USUAL_REQUEST_RATE,
    array_bodies,
    draw_rows,
    model_bodies,
    platform_bodies,
    v2_bodies,
    write_bodies,
)

ROWS = draw_rows(300, random.Random(1))  # noqa: S311 - bodies, not secrets


def test_every_dialect_carries_the_same_row() -> None:
    names = ("load", "infra", "error_rate", "rate_ratio")
    plain, array, v2 = model_bodies(ROWS), array_bodies(ROWS), v2_bodies(ROWS)
    for i, row in enumerate(ROWS):
        assert [plain[i][name] for name in names] == row.features
        assert array[i]["rows"] == [row.features]
        assert v2[i]["inputs"][0]["data"] == row.features


def test_ballast_and_the_plain_program_get_the_rate_and_not_its_ratio() -> None:
    body, row = platform_bodies(ROWS)[0], ROWS[0]
    assert body["request_rate"] / USUAL_REQUEST_RATE == row.features[3]
    assert (body["load"], body["infra"], body["error_rate"]) == tuple(row.features[:3])


def test_every_third_body_leaves_features_to_the_store() -> None:
    sparse = [body for body in platform_bodies(ROWS) if "infra" not in body]
    assert len(sparse) == 100
    assert not any("error_rate" in body for body in sparse)


def test_bodies_differ_so_that_nothing_is_cached(tmp_path: Path) -> None:
    lines = write_bodies(tmp_path / "b" / "b.jsonl", platform_bodies(ROWS)).read_text().splitlines()
    assert len(set(lines)) == len(lines) == 300
    assert all(json.loads(line)["entity"] == "order-gateway" for line in lines)
