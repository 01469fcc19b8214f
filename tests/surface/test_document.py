"""A field of the configuration that no code reads is a defect: who sets it is deceived."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from config_store.document import ConfigDocument, FamilyServing, Serving
from tests.surface.source import attributes, last_name, product

CHECKS = ("model_validator", "field_validator")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models within a type, such as the one in dict[str, Model]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def with_parts(model: type[BaseModel]) -> set[type[BaseModel]]:
    """Find a model and all that it is made of; a condition may be made of conditions."""
    found, left = set[type[BaseModel]](), [model]
    while left:
        if (part := left.pop()) not in found:
            found.add(part)
            fields = part.model_fields.values()
            left.extend(each for field in fields for each in models_in(field.annotation))
    return found


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


Read = tuple[str, str]
EACH = "each family"


def read_of_serving(tree: ast.AST) -> set[Read]:
    """Name what is read of `serving.<family>` and of `serving.of(...)`, the family beside it."""
    found = set[Read]()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        names: dict[str, str] = {}
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[ast.Name(id=short)], value=value):
                    names[short] = family_of(value, {})
        reads = attributes([function])
        found |= {(family_of(each.value, names), each.attr) for each in reads}
    return {each for each in found if each[0]}


def family_of(node: ast.AST, names: Mapping[str, str]) -> str:
    """Say which family's part an expression is; nothing for other expressions."""
    match node:
        case ast.Name(id=short):
            return names.get(short, "")
        case ast.Call(func=ast.Attribute(attr="of", value=whole)) if last_name(whole) == "serving":
            return EACH
        case ast.Attribute(attr=family, value=whole) if last_name(whole) == "serving":
            return family
    return ""


def unread_of_serving(serving: type[BaseModel], each: type[BaseModel], read: set[Read]) -> set[str]:
    """Name the fields of families that are read neither of that family nor of every one."""
    families = {name: models_in(field.annotation) for name, field in serving.model_fields.items()}
    own = {
        (name, field)
        for name, kinds in families.items()
        for kind in kinds
        for field in kind.model_fields
    }
    of_each = {(EACH, field) for field in each.model_fields}
    return {
        ".".join(missing)
        for missing in (own | of_each) - read
        if (EACH, missing[1]) not in of_each & read
    }


def test_every_field_of_the_configuration_is_read() -> None:
    assert unread(ConfigDocument, product()) == set()


def test_every_field_of_a_family_is_read_of_that_family() -> None:
    read = {each for tree in product() for each in read_of_serving(tree)}
    assert unread_of_serving(Serving, FamilyServing, read) == set()


def test_a_field_that_is_read_of_something_else_does_not_count_for_a_family() -> None:
    class Each(BaseModel):
        lane: int = 0
        unused: int = 0

    class Chosen(Each):
        model: str = ""
        alias: str = ""

    class Served(BaseModel):
        tail: Chosen
        capacity: Chosen

    tree = ast.parse(
        "def f(version, champion):\n"
        "    capacity = version.document.serving.capacity\n"
        "    champion.model, champion.alias, capacity.alias, version.unused\n"
        "    return version.document.serving.tail.model, serving.of(family).lane\n"
    )
    assert unread_of_serving(Served, Each, read_of_serving(tree)) == {
        "tail.alias",
        "tail.unused",
        "capacity.model",
        "capacity.unused",
        f"{EACH}.unused",
    }


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
