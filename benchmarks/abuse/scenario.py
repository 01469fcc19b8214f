"""What a scenario is: a module of this folder with a function `measure`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from benchmarks.platform import Platform

Figures = dict[str, float]
"""By name; the name says the unit, as in "p99 of others, ms"."""

# Each is a module beside this one.
NAMES = ("slow_clients", "idle_clients", "neighbours", "many_keys")


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    about: str  # the first line of the module's docstring
    measure: Callable[[Platform], Figures]


def scenario(name: str) -> Scenario:
    module = import_module(f"benchmarks.abuse.{name}")
    about = (module.__doc__ or "").partition("\n")[0]
    return Scenario(name, about, module.measure)
