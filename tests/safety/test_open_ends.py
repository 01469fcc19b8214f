import ast
import math

import pytest

from safety.open_ends import FARTHEST, OPEN_INTERVAL, claims_above, claims_below
from tests.surface.source import module, product

HOME = "safety/open_ends.py"


def written_out(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == FARTHEST for node in ast.walk(tree))


def test_an_open_interval_claims_nothing_and_any_other_does() -> None:
    assert not claims_below(OPEN_INTERVAL["lower"])
    assert not claims_above(OPEN_INTERVAL["upper"])
    assert claims_below(-1e298)
    assert claims_above(1e298)


@pytest.mark.parametrize("end", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_claims_nothing(end: float) -> None:
    assert not (claims_below(end) and claims_above(end))


def test_no_other_module_of_safety_or_deployments_writes_the_number_out() -> None:
    assert written_out(module(HOME))
    others = product(but=[HOME], rooms=("safety", "deployments"))
    assert not any(written_out(tree) for tree in others)
