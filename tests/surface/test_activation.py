"""A version comes into force by steering's commands, and by nothing else of the product.

The one exception is a machine on which nothing was ever active: it gets what ships.
"""

import ast
from collections.abc import Iterator, Mapping

from tests.surface.source import attributes, last_name, modules, strings

# Where the key that names the active version is known, and what is done with it there.
KNOWS_THE_KEY = {
    "config_store/store.py": "reads it, and writes it on a fresh machine",
    "config_store/steering/store.py": "writes it in the step that changes the state",
    "config_store/steering/rebuilding.py": "reads it, where nobody knows the state any more",
    "launch/sources/change.py": "looks whether it is there",
    "launch/old_names.py": "looks whether it is there, before names of earlier releases are moved",
}
# Makes the first version of a fresh machine.
FIRST = {"launch/bootstrap.py"}


def calls(tree: ast.AST, name: str) -> Iterator[str]:
    """Name what `x.y.name(...)` is called of: y."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=of, attr=attr)) if attr == name:
                yield last_name(of)


def knowing(trees: Mapping[str, ast.Module]) -> set[str]:
    """Name the modules that say `active_key`, or write its name out."""
    found = set[str]()
    for path, tree in trees.items():
        by_attribute = any(each.attr == "active_key" for each in attributes([tree]))
        named = any(
            isinstance(node, ast.Call)
            and last_name(node.func) == "redis_name"
            and [*strings(node.args)][-1:] == ["active"]
            for node in ast.walk(tree)
        )
        if by_attribute or named:
            found.add(path)
    return found


def test_the_active_versions_key_is_known_where_it_must_be() -> None:
    assert knowing(modules()) == KNOWS_THE_KEY.keys()


def test_only_a_start_makes_a_first_version() -> None:
    found = {path for path, tree in modules().items() if [*calls(tree, "bootstrap")]}
    assert found == FIRST


def test_planted_ones_are_found() -> None:
    tree = ast.parse("await redis.set(redis_name(redis, 'config', 'active'), 2)")
    assert knowing({"a.py": tree}) == {"a.py"}
    assert knowing({"a.py": ast.parse("redis.get(store.active_key)")}) == {"a.py"}
