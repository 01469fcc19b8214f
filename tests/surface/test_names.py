"""A public name of a product module that no product code uses is a defect.

What only a test needs belongs to the tests, what only a benchmark needs to the benchmarks.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.surface.source import REPOSITORY, last_name, modules

# Who calls each of them is no code of ours, and names it nowhere that is read here.
CALLED_FROM_ELSEWHERE = {
    "deployments/stages.py: StageReplica.record_autoscaling_stats": "Serve's controller",
    "tuning/searcher.py: BayesSearch": "a script of the user's gives it to Tune",
}
# A function with one of these decorators is called by what it is registered with.
REGISTERS = {"get", "post", "put", "delete", "command", "callback", "exception_handler"} | {
    "model_validator",
    "field_validator",
    "intrinsic",
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Public(NamedTuple):
    """A name that a module gives to others: of its own, or of one of its classes."""

    name: str
    node: ast.stmt

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]


def public(tree: ast.Module, own_classes: set[str]) -> Iterator[Public]:
    """Give the names without an underscore, but those that a foreign base class calls."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name, body=body):
                yield Public(name, node)
                if not any(is_foreign(base, own_classes) for base in node.bases):
                    yield from (
                        Public(f"{name}.{each.name}", each)
                        for each in body
                        if isinstance(each, FUNCTIONS)
                    )
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield Public(name, node)
            case ast.Assign(targets=targets):
                for each in (part for target in targets for part in ast.walk(target)):
                    if isinstance(each, ast.Name):
                        yield Public(each.id, node)
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield Public(name, node)


def is_foreign(base: ast.expr, own_classes: set[str]) -> bool:
    """Tell whether a base class is a library's that calls the methods of its subclasses."""
    if isinstance(base, ast.Subscript):
        base = base.value
    data = {"NamedTuple", "Protocol", "Generic", "TypedDict", "BaseModel", "Exception", "StrEnum"}
    return isinstance(base, ast.Attribute) or last_name(base) not in data | own_classes


def used_in(tree: ast.AST) -> Iterator[str]:
    """Give what is read, passed by its name, or named in a string such as 'room.module:name'."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.MatchClass(kwd_attrs=names):
                yield from names
            case ast.Constant(value=str(text)):
                yield text.replace(":", ".").rpartition(".")[2]


def unused(trees: Mapping[str, ast.Module], named: str = "") -> set[str]:
    """Name what is used nowhere but in its own definition, nor in the text that names some."""
    nodes = (node for tree in trees.values() for node in ast.walk(tree))
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    uses = Counter(name for tree in trees.values() for name in used_in(tree))
    return {
        f"{path}: {each.name}"
        for path, tree in trees.items()
        for each in public(tree, classes)
        if not each.name.startswith("_") and not each.last.startswith("_")
        if not is_registered(each.node) and each.last not in named
        if uses[each.last] == own_uses(each)
    }


def own_uses(each: Public) -> int:
    if isinstance(each.node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return sum(name == each.last for name in used_in(each.node))
    return 0


def is_registered(node: ast.stmt) -> bool:
    return isinstance(node, FUNCTIONS) and any(
        last_name(each) in REGISTERS for each in node.decorator_list
    )


def test_every_public_name_is_used() -> None:
    serve = (REPOSITORY / "serve_config.yaml").read_text()
    assert unused(modules(), serve) == CALLED_FROM_ELSEWHERE.keys()


def test_a_name_that_nothing_uses_is_found() -> None:
    sources = {
        "a.py": (
            "import asyncio\n"
            "LIMIT, SPARE = 1, 2\n"
            "def used(): return LIMIT\n"
            "def planted(): return planted()\n"
            "@app.get('/')\n"
            "def route(): ...\n"
            "def _private(): ...\n"
            "class Kept:\n"
            "    def read(self): ...\n"
            "    def unread(self): ...\n"
            "class Wire(asyncio.Protocol):\n"
            "    def data_received(self): ...\n"
        ),
        "b.py": "PROGRAM = 'a:by_string'\nrun(used, Kept().read, Wire, PROGRAM)",
        "c.py": "def by_string(): ...\ndef in_the_file(): ...",
    }
    trees = {path: ast.parse(source) for path, source in sources.items()}
    assert unused(trees, "policy: in_the_file") == {
        "a.py: SPARE",
        "a.py: planted",
        "a.py: Kept.unread",
    }
