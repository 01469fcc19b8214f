"""A product module that no command, deployment or process reaches is a defect."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.surface.source import REPOSITORY, modules

# What the installed commands, Serve and Ray start with (pyproject.toml, serve_config.yaml).
ENTRIES = {
    "launch.cli",
    "deployments.app",
    "deployments.history.actor",
    "launch.haproxy",
}
# What no user reaches yet, and why it is kept.
LATER = {
    "tuning.search_space": "sweeps get their command with the room of tuning",
    "tuning.searcher": "same",
    "tuning.next_suggestion": "same",
}

Trees = Mapping[str, ast.Module]


def name_of(path: str) -> str:
    """Give the module's name by its path."""
    return ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")


def unreached(trees: Trees, entries: set[str]) -> set[str]:
    """Name the modules, packages' own files left out, that the entries do not come to."""
    reached = set[str]()
    left = [*entries, *(name for name, tree in trees.items() if is_program(tree))]
    while left:
        name = left.pop()
        if name in reached or name not in trees:
            continue
        reached.add(name)
        left.extend(named_in(trees[name], trees))
    return {name for name, tree in trees.items() if tree.body and name not in reached} - {
        package(each) for each in trees
    }


def package(name: str) -> str:
    return name.rpartition(".")[0]


def is_program(tree: ast.Module) -> bool:
    """Tell whether a process starts with it: it asks whether it is __main__, or Python runs it."""
    return any(isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in tree.body)


def named_in(tree: ast.Module, trees: Trees) -> Iterator[str]:
    """Give what is imported anywhere in it, and the modules that it names in a string."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(origin), names=names):
                yield origin
                yield from (f"{origin}.{each.name}" for each in names)
            case ast.Constant(value=str(text)):
                yield from (each for each in (text, package(text)) if each in trees)


def test_every_module_is_reached() -> None:
    trees = {name_of(path): tree for path, tree in modules().items()}
    assert trees.keys() >= ENTRIES
    startup = {name for name in trees if name.endswith(".sitecustomize")}
    assert unreached(trees, ENTRIES | startup) == LATER.keys()


def test_the_entries_are_those_of_the_project() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text()
    serve = (REPOSITORY / "serve_config.yaml").read_text()
    assert "launch.cli:app" in project
    assert "launch.haproxy:main" in project
    assert "deployments.app:" in serve


def test_a_module_that_nothing_reaches_is_found() -> None:
    sources = {
        "a": "from b import c\nPROGRAM = 'd.e'",
        "b": "",
        "b.c": "def f():\n    import b.lazy",
        "b.lazy": "1",
        "b.planted": "import b.c",
        "d": "",
        "d.e": "1",
        "d.own": "if __name__ == '__main__':\n    import d.used",
        "d.used": "1",
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    assert unreached(trees, {"a"}) == {"b.planted"}
