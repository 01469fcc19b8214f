"""The compiled trees against XGBoost itself, to the bit, on every kind of row."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ArtifactError
from models.tail.flat_trees import FlatTrees
from models.tail.ubjson import decode

_ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3e38, 1e-30, -1.0)


def grown(seed: int, **params: Any) -> xgboost.Booster:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(3_000, 4)).astype(np.float32)
    inputs[rng.random(inputs.shape) < 0.1] = np.nan  # so that splits learn where a gap goes
    target = np.nan_to_num(inputs[:, 0]) * 2 + np.exp(np.nan_to_num(inputs[:, 1]) / 2)
    noise = rng.gumbel(size=len(target))
    settled = {"nthread": 1, "seed": seed, "max_depth": 5, "max_bin": 32} | params
    return xgboost.train(settled, xgboost.DMatrix(inputs, target + noise), 12)


@pytest.fixture(
    params=[
        {"objective": "reg:quantileerror", "quantile_alpha": [0.05, 0.5, 0.999]},
        {"objective": "reg:squarederror", "max_depth": 1},
        {"objective": "reg:squarederror", "num_parallel_tree": 3, "subsample": 0.5},
    ],
    ids=["quantiles", "stumps", "forest"],
    scope="module",
)
def booster(request: pytest.FixtureRequest) -> xgboost.Booster:
    return grown(3, **request.param)


def saved(booster: xgboost.Booster) -> bytes:
    return bytes(booster.save_raw("ubj"))


@cache
def quantiles() -> tuple[xgboost.Booster, FlatTrees]:
    booster = grown(4, objective="reg:quantileerror", quantile_alpha=[0.5, 0.9])
    return booster, FlatTrees.of(saved(booster), 4)


def rows(count: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    found = rng.normal(scale=2, size=(count, 4)).astype(np.float32)
    found[rng.random(found.shape) < 0.1] = np.nan
    return found


def bits(predicted: Any) -> bytes:
    return np.asarray(predicted, dtype=np.float32).tobytes()


def test_random_rows_get_xgboosts_bits(booster: xgboost.Booster) -> None:
    inputs = rows(20_000, 1)
    assert bits(FlatTrees.of(saved(booster), 4).predict(inputs)) == bits(
        booster.inplace_predict(inputs)
    )


@given(st.lists(st.sampled_from(_ODD), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_odd_numbers_get_xgboosts_bits(values: list[float]) -> None:
    booster, trees = quantiles()
    inputs = np.array([values], dtype=np.float32)
    assert bits(trees.predict(inputs)) == bits(booster.inplace_predict(inputs))


def test_a_value_on_a_split_goes_where_xgboost_sends_it(booster: xgboost.Booster) -> None:
    trees = FlatTrees.of(saved(booster), 4)
    branch = trees.column >= 0
    inputs = np.zeros((int(branch.sum()), 4), dtype=np.float32)
    inputs[np.arange(len(inputs)), trees.column[branch]] = trees.value[branch]
    assert bits(trees.predict(inputs)) == bits(booster.inplace_predict(inputs))


@pytest.mark.parametrize("count", [0, 1, 3, 17, 64])
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(
    booster: xgboost.Booster, count: int
) -> None:
    trees, inputs = FlatTrees.of(saved(booster), 4), rows(count, 2)
    together = trees.predict(inputs)
    assert len(together) == count
    alone = [trees.predict(inputs[[row]]) for row in range(count)]
    assert b"".join(map(bits, alone)) == bits(together)


def test_the_reader_reads_what_xgboost_says_in_json(booster: xgboost.Booster) -> None:
    plain = orjson.loads(bytes(booster.save_raw("json")))
    found = decode(saved(booster))

    def same(one: Any, other: Any) -> bool:
        if isinstance(other, dict):
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in other)
        if isinstance(other, list):
            return len(one) == len(other) and all(map(same, one, other))
        return bool(one == other) or np.float32(one) == np.float32(other)

    assert same(found, plain)


@pytest.mark.parametrize("cut", [0, 1, 40, 4_000, -1])
def test_a_cut_file_is_refused(booster: xgboost.Booster, cut: int) -> None:
    with pytest.raises(ArtifactError):
        FlatTrees.of(saved(booster)[:cut], 4)


def test_what_is_no_booster_is_refused() -> None:
    for document in (b"{}", b"Z", b"[]", b"{}Z", b"[" * 5_000, b"\xff", b"SL" + b"\xff" * 8):
        with pytest.raises(ArtifactError):
            FlatTrees.of(document, 4)


def test_a_split_on_an_input_that_nobody_gives_is_refused(booster: xgboost.Booster) -> None:
    with pytest.raises(ArtifactError, match="none of the 1 inputs"):
        FlatTrees.of(saved(booster), 1)


def test_a_tree_that_runs_in_circles_is_refused(booster: xgboost.Booster) -> None:
    raw = bytearray(saved(booster))
    mark = b"right_children[$l#L"
    start = raw.index(mark) + len(mark) + 8
    raw[start : start + 4] = (0).to_bytes(4, "big")
    with pytest.raises(ArtifactError, match="leads out of"):
        FlatTrees.of(bytes(raw), 4)


def test_serving_imports_no_xgboost() -> None:
    code = "import sys, models.tail.xgboost_quantile; sys.exit('xgboost' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
