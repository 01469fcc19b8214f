"""Expressions over features: parsed against a list of what is allowed, evaluated by column.

Missing in, missing out: where an input is NaN, and where a result is no finite number, the value is
NaN. A condition is 1 where it holds and 0 where it does not, and so may be missing too.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
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
LARGEST = 1e300

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
    found = reader.type_of(tree)
    if not reader.names:
        raise BadExpressionError(text, 1, "it names no feature, and so is the same for all")
    return Expression(text.strip(), tuple(reader.names), found, tree)


class _Reader:
    """Checks types from the leaves up, and notes the names on the way."""

    def __init__(self, text: str) -> None:
        self.names: dict[str, None] = {}
        self._text = text

    def type_of(self, node: ast.expr, depth: int = 0) -> Type:
        if depth > DEEPEST:
            raise self._refusal(node, f"nested deeper than {DEEPEST}")
        found: Type = "number"
        match node:
            case ast.Name(id=name):
                self.names[name] = None
            case ast.Constant(value=value) if type(value) in (int, float) and abs(value) < LARGEST:
                pass
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                self._want("number", (left, right), depth)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self._want("number", (operand,), depth)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                self._check_call(node, name, args, depth)
            case _:
                self._check_condition(node, depth)
                found = "truth"
        return found

    def _check_condition(self, node: ast.expr, depth: int) -> None:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._want("truth", (operand,), depth)
            case ast.BoolOp(values=values):
                self._want("truth", values, depth)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                type(op) in _COMPARISONS for op in ops
            ):
                self._want("number", (left, *others), depth)
            case _:
                raise self._refusal(node, f"{self._words(node)} is not allowed; {_ALLOWED}")

    def _check_call(self, node: ast.expr, name: str, args: list[ast.expr], depth: int) -> None:
        if name not in FUNCTIONS:
            raise self._refusal(node, f"there is no function {name!r}; {_ALLOWED}")
        if name in _OF_MANY:
            right, takes = len(args) > 1, "two values or more"
        else:
            wanted = 3 if name == "where" else 1
            right, takes = len(args) == wanted, f"{wanted} value{'s' * (wanted > 1)}"
        if not right:
            raise self._refusal(node, f"{name} takes {takes}, not {len(args)}")
        self._want("truth" if name == "where" else "number", args[:1], depth)
        self._want("number", args[1:], depth)

    def _want(self, wanted: Type, nodes: Sequence[ast.expr], depth: int) -> None:
        for node in nodes:
            found = self.type_of(node, depth + 1)
            if found != wanted:
                said = {"number": "a number", "truth": "a condition"}
                reason = f"{self._words(node)} is {said[found]}, and {said[wanted]} is needed here"
                raise self._refusal(node, reason)

    def _words(self, node: ast.expr) -> str:
        return repr(ast.get_source_segment(self._text, node) or type(node).__name__)

    def _refusal(self, node: ast.expr, reason: str) -> BadExpressionError:
        return BadExpressionError(self._text, node.col_offset + 1, reason)


def _value(node: ast.expr, columns: Mapping[str, Floats]) -> Floats:
    def of(*parts: ast.expr) -> list[Floats]:
        return [_value(each, columns) for each in parts]

    match node:
        case ast.Name(id=name):
            found = columns[name]
        case ast.Constant(value=value):
            found = np.array(float(value))  # type: ignore[arg-type] # the check lets only numbers through
        case ast.BinOp(left=left, op=op, right=right):
            found = _ARITHMETIC[type(op)](*of(left, right))
        case ast.UnaryOp(op=sign, operand=operand):
            found = _signed(sign, *of(operand))
        case ast.BoolOp(op=junction, values=values):
            found = _joined(junction, of(*values))
        case ast.Compare(left=left, ops=ops, comparators=others):
            found = _compared(of(left, *others), ops)
        case ast.Call(func=ast.Name(id=name), args=args):
            found = _called(name, of(*args))
        case _:
            raise TypeError(f"a part {type(node).__name__} was let through by the check")
    return found


def _joined(junction: ast.boolop, values: list[Floats]) -> Floats:
    join = np.minimum if isinstance(junction, ast.And) else np.maximum
    found = values[0]
    for each in values[1:]:
        found = join(found, each)
    return found


def _signed(op: ast.unaryop, value: Floats) -> Floats:
    if isinstance(op, ast.Not):
        return 1.0 - value
    return -value if isinstance(op, ast.USub) else value


def _compared(values: list[Floats], ops: list[ast.cmpop]) -> Floats:
    held: list[Floats] = []
    for op, left, right in zip(ops, values, values[1:], strict=False):
        known = ~(np.isnan(left) | np.isnan(right))
        held.append(np.where(known, _COMPARISONS[type(op)](left, right), np.nan))
    return _joined(ast.And(), held)


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
