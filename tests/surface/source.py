"""Reads the platform's own source: which attributes its code uses, and how."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROOMS = (
    *("deployments", "models", "features", "safety", "access", "config_store"),
    *("launch", "observability", "settings", "tuning"),
)
DOCUMENTS = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))


def product(*, but: Iterable[str] = (), rooms: Iterable[str] = ROOMS) -> list[ast.Module]:
    """Parse every module of these rooms, but those named (as `room/module.py`)."""
    left_out, within = set(but), set(rooms)
    return [
        tree
        for path, tree in modules().items()
        if path not in left_out and path.partition("/")[0] in within
    ]


def module(path: str) -> ast.Module:
    return modules()[path]


@cache
def modules() -> dict[str, ast.Module]:
    paths = (path for room in ROOMS for path in sorted((REPOSITORY / room).rglob("*.py")))
    return {str(path.relative_to(REPOSITORY)): ast.parse(path.read_text()) for path in paths}


def attributes(trees: Iterable[ast.AST]) -> Iterator[ast.Attribute]:
    """Give every `something.name` that is read, not written."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield node


def strings(trees: Iterable[ast.AST]) -> Iterator[str]:
    """Give every string that is written out, and the fixed parts of those that are put together."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def last_name(node: ast.AST) -> str:
    """Give the last word of `a`, `a.b` or `a.b()`; nothing for other expressions."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=called):
            return last_name(called)
        case _:
            return ""


def methods_of(tree: ast.AST, class_name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return [
                each
                for each in node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
    return []
