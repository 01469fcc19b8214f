"""Expressions over features: parsed against a list of what is allowed, evaluated by column.

Missing in, missing out: where an input is NaN, and where a result is no finite number, the value is
NaN. A condition is 1 where it holds and 0 where it does not, and so may be missing too.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from features.errors import BadExpressionError

Floats = npt.NDArray[np.float64]
Type = Literal["number", "truth"]

LONGEST = 1_000
"""Characters."""
MOST_PARTS = 200
DEEPEST = 30

_ARITHMETIC: dict[type, Callable[[Floats, Floats], Floats]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_COMPARISONS: dict[type, Callable[[Floats, Floats], npt.NDArray[np.bool_]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_OF_ONE: dict[str, Callable[[Floats], Floats]] = {"abs": np.abs, "log": np.log, "sqrt": np.sqrt}
_OF_MANY: dict[str, Callable[[Floats, Floats], Floats]] = {"min": np.minimum, "max": np.maximum}
FUNCTIONS = (*_OF_MANY, *_OF_ONE, "where")
_ALLOWED = (
    f"allowed are + - * /, comparisons, `and`, `or`, `not`, numbers and {', '.join(FUNCTIONS)}"
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A text that was found to be right, with the features that it names."""

    text: str
    names: tuple[str, ...]
    type: Type
    tree: ast.expr = field(compare=False, repr=False)

    def evaluate(self, columns: Mapping[str, Floats]) -> Floats:
        """Compute it of these columns, all of one length."""
        rows = len(columns[self.names[0]])
        with np.errstate(all="ignore"):
            found = np.broadcast_to(_value(self.tree, columns), rows)
        return np.where(np.isfinite(found), found, np.nan)


def parse(text: str) -> Expression:
    """Read an expression; raises BadExpressionError, which names the place."""
    if len(text) > LONGEST:
        raise BadExpressionError(text[:40], 1, f"{len(text)} characters; at most {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        at = getattr(error, "offset", None) or 1
        raise BadExpressionError(text, at, "this cannot be read as an expression") from error
    parts = sum(1 for _ in ast.walk(tree))
    if parts > MOST_PARTS:
        raise BadExpressionError(text, 1, f"{parts} parts; at most {MOST_PARTS}")
    reader = _Reader(text.strip())
    found = reader.type_of(tree, 0)
    if not reader.names:
        raise BadExpressionError(text, 1, "it names no feature, and so is the same for all")
    return Expression(text.strip(), tuple(reader.names), found, tree)


class _Reader:
    """Checks types from the leaves up, and notes the names on the way."""

    def __init__(self, text: str) -> None:
        self.names: dict[str, None] = {}
        self._text = text

    def type_of(self, node: ast.expr, depth: int) -> Type:
        if depth > DEEPEST:
            self._refuse(node, f"nested deeper than {DEEPEST}")
        match node:
            case ast.Name(id=name):
                self.names[name] = None
                return "number"
            case ast.Constant(value=value) if type(value) in (int, float) and abs(value) < 1e300:
                return "number"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                self._want("number", (left, right), depth)
                return "number"
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self._want("number", (operand,), depth)
                return "number"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._want("truth", (operand,), depth)
                return "truth"
            case ast.BoolOp(values=values):
                self._want("truth", tuple(values), depth)
                return "truth"
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                type(op) in _COMPARISONS for op in ops
            ):
                self._want("number", (left, *others), depth)
                return "truth"
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(node, name, args, depth)
        return self._refuse(node, f"{self._words(node)} is not allowed; {_ALLOWED}")

    def _call(self, node: ast.expr, name: str, args: list[ast.expr], depth: int) -> Type:
        if name not in FUNCTIONS:
            self._refuse(node, f"there is no function {name!r}; {_ALLOWED}")
        wanted = {"where": 3}.get(name, 1 if name in _OF_ONE else max(len(args), 2))
        if len(args) != wanted:
            self._refuse(node, f"{name} takes {wanted} values or more, not {len(args)}")
        first: Type = "truth" if name == "where" else "number"
        self._want(first, (args[0],), depth)
        self._want("number", tuple(args[1:]), depth)
        return "number"

    def _want(self, wanted: Type, nodes: tuple[ast.expr, ...], depth: int) -> None:
        for node in nodes:
            found = self.type_of(node, depth + 1)
            if found != wanted:
                said = {"number": "a number", "truth": "a condition"}
                reason = f"{self._words(node)} is {said[found]}, and {said[wanted]} is needed here"
                self._refuse(node, reason)

    def _words(self, node: ast.expr) -> str:
        return repr(ast.get_source_segment(self._text, node) or type(node).__name__)

    def _refuse(self, node: ast.expr, reason: str) -> Type:
        raise BadExpressionError(self._text, node.col_offset + 1, reason)


def _value(node: ast.expr, columns: Mapping[str, Floats]) -> Floats:
    match node:
        case ast.Name(id=name):
            return columns[name]
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[return-value, arg-type] # numpy spreads it
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, columns), _value(right, columns))
        case ast.UnaryOp(op=op, operand=operand):
            return _signed(op, _value(operand, columns))
        case ast.BoolOp(op=op, values=values):
            joined = np.minimum if isinstance(op, ast.And) else np.maximum
            found: Floats = joined.reduce(
                np.broadcast_arrays(*(_value(v, columns) for v in values))
            )
            return found
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compared([_value(each, columns) for each in (left, *others)], ops)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _called(name, [_value(each, columns) for each in args])
    raise TypeError(f"a part {type(node).__name__} was let through by the check")


def _signed(op: ast.unaryop, value: Floats) -> Floats:
    if isinstance(op, ast.Not):
        return 1.0 - value
    return -value if isinstance(op, ast.USub) else value


def _compared(values: list[Floats], ops: list[ast.cmpop]) -> Floats:
    found: Floats = np.float64(1.0)  # type: ignore[assignment] # numpy spreads it
    for op, left, right in zip(ops, values, values[1:], strict=False):
        known = ~(np.isnan(left) | np.isnan(right))
        holds = np.where(known, _COMPARISONS[type(op)](left, right), np.nan)
        found = np.minimum(found, holds)
    return found


def _called(name: str, values: list[Floats]) -> Floats:
    if name == "where":
        condition, first, second = values
        chosen = np.where(condition > 0, first, second)
        return np.where(np.isnan(condition), np.nan, chosen)
    if name in _OF_ONE:
        return _OF_ONE[name](values[0])
    found = values[0]
    for each in values[1:]:
        found = _OF_MANY[name](found, each)
    return found
