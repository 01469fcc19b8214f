"""Expressions mean what Python says they mean, and nothing else can be said with them."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.definitions.expression import DEEPEST, LONGEST, MOST_PARTS, parse
from features.errors import BadExpressionError

_atoms = st.sampled_from(["a", "b", "2", "0.5", "100"])


def _numbers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    conditions = st.builds(
        lambda pair, op: f"({pair[0]} {op} {pair[1]})",
        two,
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    )
    joined = st.builds(
        lambda x, y, op: f"({x} {op} {y})", conditions, conditions, st.sampled_from(["and", "or"])
    )
    return st.one_of(
        st.builds(lambda p, op: f"({p[0]} {op} {p[1]})", two, st.sampled_from("+-*/")),
        st.builds(lambda p, f: f"{f}({p[0]}, {p[1]})", two, st.sampled_from(["min", "max"])),
        st.builds(lambda x, f: f"{f}({x})", inner, st.sampled_from(["abs", "log", "sqrt", "-"])),
        st.builds(lambda c, p: f"where({c}, {p[0]}, {p[1]})", conditions | joined, two),
        st.builds(lambda c, p: f"where(not {c}, {p[0]}, {p[1]})", conditions, two),
    )


_texts = st.recursive(_atoms, _numbers, max_leaves=8)
_values = st.sampled_from([0.0, -1.0, 0.25, 3.0, 1e200, math.nan])


def by_python(text: str, a: float, b: float) -> float:
    """Evaluate as Python does, row by row; what has no value is NaN."""
    known: dict[str, Any] = {
        "where": lambda condition, first, second: first if condition else second,
        "min": min,
        "max": max,
        "abs": abs,
        "log": math.log,
        "sqrt": math.sqrt,
    }
    try:
        return float(eval(text, {"__builtins__": {}}, known | {"a": a, "b": b}))  # noqa: S307 - texts of this test
    except (ZeroDivisionError, ValueError, OverflowError):
        return math.nan


_named = _texts.filter(lambda text: re.search(r"\b[ab]\b", text) is not None)


@given(_named, _values, _values)
def test_an_expression_is_what_python_makes_of_it(text: str, a: float, b: float) -> None:
    expression = parse(text)
    columns = {"a": np.array([a, 1.0]), "b": np.array([b, 2.0])}
    found = expression.evaluate(columns)
    for row in range(2):
        inputs = [float(columns[name][row]) for name in expression.names]
        if any(math.isnan(each) for each in inputs):
            continue  # see below: what is not needed may be missing to Python
        value = by_python(text, float(columns["a"][row]), float(columns["b"][row]))
        # Python stops at a division by zero, and does not look at what `and` and `or` need not.
        if math.isfinite(value) and not (np.isnan(found[row]) and re.search("and|or", text)):
            assert found[row] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["a + 1", "min(a, 0)", "where(a > 0, 1, 2)", "where(b > 0, a, a)", "not a > 0", "a < b < 3"],
)
def test_missing_in_missing_out(text: str) -> None:
    columns = {"a": np.array([np.nan, 1.0]), "b": np.array([2.0, 2.0])}
    found = parse(text).evaluate(columns)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_no_value_is_infinite() -> None:
    zero = {"a": np.array([0.0])}
    for text in ("1 / a", "log(a)", "sqrt(a - 1)", "a / a"):
        assert np.isnan(parse(text).evaluate(zero)[0])


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("a +", 1, "cannot be read"),
        ("a ** 2", 1, "'a ** 2' is not allowed"),
        ("1 + a.real", 5, "'a.real' is not allowed"),
        ("a + __import__('os')", 5, "no function '__import__'"),
        ("a + (lambda: 1)", 6, "not allowed"),
        ("a if a > 1 else 2", 1, "not allowed"),
        ("a[0]", 1, "not allowed"),
        ("a + 'x'", 5, "not allowed"),
        ("a + True", 5, "not allowed"),
        ("a + 1e999", 5, "not allowed"),
        ("where(a, 1, 2)", 7, "'a' is a number, and a condition is needed here"),
        ("1 + (a > 2)", 6, "'a > 2' is a condition, and a number is needed here"),
        ("where(a > 1, 2)", 1, "where takes 3 values, not 2"),
        ("min(a)", 1, "min takes two values or more, not 1"),
        ("sqrt(a, a)", 1, "sqrt takes 1 value, not 2"),
        ("max(a, key=a)", 1, "not allowed"),
        ("1 + 2", 1, "names no feature"),
        ("a" + " " * LONGEST, 1, f"at most {LONGEST}"),
        (" + ".join("a" * MOST_PARTS), 1, f"at most {MOST_PARTS}"),
        ("-" * (DEEPEST + 5) + "a", DEEPEST + 2, f"nested deeper than {DEEPEST}"),
        ("(" * 400 + "a" + ")" * 400, 201, "cannot be read"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_place(text: str, column: int, words: str) -> None:
    with pytest.raises(BadExpressionError, match=f"column {column}: ") as refused:
        parse(text)
    assert words in str(refused.value)
