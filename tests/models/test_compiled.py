"""Compiled kernels: what they compute, and when what is kept of them is still good."""

import math
from pathlib import Path
from typing import Any

import numpy as np

import models.compiled
from models.compiled import compiled


@compiled
def root_of_sum(values: Any) -> float:
    total = 0.0
    for value in values:
        total += value
    return math.sqrt(total)


def test_it_computes_what_it_says() -> None:
    assert root_of_sum(np.array([1.0, 3.0, 5.0])) == 3.0


def test_what_is_kept_is_known_by_the_sources_of_the_whole_folder() -> None:
    root_of_sum(np.array([4.0]))
    kernel: Any = root_of_sum
    (signature,) = kernel.signatures
    codegen = kernel.targetctx.codegen()
    key = kernel._cache._index_key(signature, codegen)
    assert key[-1] == models.compiled._hash_of(Path(__file__).parent)


def test_a_change_anywhere_in_the_folder_changes_the_hash(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text("ONE = 1\n")
    before = models.compiled._hash_of.__wrapped__(tmp_path)
    (tmp_path / "called.py").write_text("TWO = 2\n")
    assert models.compiled._hash_of.__wrapped__(tmp_path) != before


def test_a_kernel_that_cannot_be_kept_still_runs() -> None:
    scope: dict[str, Any] = {}
    exec("def twice(x):\n    return 2 * x", scope)  # noqa: S102  a function without a file
    assert compiled(scope["twice"])(21) == 42
