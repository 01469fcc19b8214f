"""A setting that nothing reads is a defect."""

import ast
from collections.abc import Iterable

from settings.environment import Settings
from tests.surface.source import attributes, last_name, methods_of, module, product

HOME = "settings/environment.py"
HOLDERS = ("settings", "_settings")


def read_outside(trees: Iterable[ast.AST]) -> set[str]:
    """Name what is read of an object called settings."""
    return {each.attr for each in attributes(trees) if last_name(each.value) in HOLDERS}


def unread(fields: Iterable[str], home: ast.AST, others: Iterable[ast.AST]) -> set[str]:
    """Name the fields that are read neither by others nor by a property that others read."""
    read = read_outside(others)
    for method in methods_of(home, "Settings"):
        if method.name in read:
            of_self = (each for each in attributes([method]) if last_name(each.value) == "self")
            read |= {each.attr for each in of_self}
    return set(fields) - read


def test_every_setting_is_read() -> None:
    assert unread(Settings.model_fields, module(HOME), product(but=[HOME])) == set()


def test_a_setting_that_nothing_reads_is_found() -> None:
    home = ast.parse(
        "class Settings:\n"
        "    @property\n"
        "    def address(self): return self.url\n"
        "    @property\n"
        "    def unused(self): return self.dead\n"
    )
    other = ast.parse("open(self._settings.address, settings.port); job.host; settings.seed = 1")
    assert unread(["url", "port", "host", "dead", "seed"], home, [other]) == {
        "host",
        "dead",
        "seed",
    }
