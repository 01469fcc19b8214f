"""A field of the configuration that no code reads is a defect: who sets it is deceived."""

import ast
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from config_store.document import ConfigDocument
from tests.surface.source import last_name, product

CHECKS = ("model_validator", "field_validator")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models within a type, such as the one in dict[str, Model]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def with_parts(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for part in models_in(field.annotation):
            if part is not model:
                yield from with_parts(part)


def read_in(tree: ast.AST) -> Iterator[str]:
    """Name what is read, but for what only a validator compares with something.

    What a named Literal lists counts: it is the type of a name that getattr is given.
    """
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef) and any(
            last_name(each) in CHECKS for each in node.decorator_list
        ):
            continue
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        match node:
            case ast.Assign(
                value=ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(names))
            ):
                yield from (str(each.value) for each in names if isinstance(each, ast.Constant))
        left.extend(ast.iter_child_nodes(node))


def unread(document: type[BaseModel], trees: Iterable[ast.AST]) -> set[str]:
    read = {name for tree in trees for name in read_in(tree)}
    return {
        f"{model.__name__}.{name}"
        for model in with_parts(document)
        for name in model.model_fields
        if name not in read
    }


def test_every_field_of_the_configuration_is_read() -> None:
    assert unread(ConfigDocument, product()) == set()


def test_a_field_that_nothing_reads_is_found() -> None:
    class Part(BaseModel):
        used: int = 0
        only_checked: int = 0
        by_its_name: int = 0

    class Whole(BaseModel):
        parts: dict[str, tuple[Part, ...]]

    tree = ast.parse(
        "document.parts['a'][0].used\n"
        "Counted = Literal['by_its_name', 'another']\n"
        "class Part:\n"
        "    @model_validator(mode='after')\n"
        "    def check(self): assert self.only_checked\n"
    )
    assert unread(Whole, [tree]) == {"Part.only_checked"}
