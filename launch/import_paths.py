"""Judges the import paths of serve_config.yaml before Ray starts.

Nothing is imported for it: an application brings Ray with it, which the supervisor stays without.
The source is read instead, and only what is sure to fail is refused.
"""

import ast
import importlib.util
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

# A module that mentions one of these may have names, or modules, that its source does not show.
BY_OTHER_MEANS = ("__getattr__", "__path__", "globals", "exec", "setattr", "sys.modules")


def faults(config: dict[str, Any], folders: Sequence[str]) -> Iterator[str]:
    """Say what cannot be imported of each application; `folders` are searched too."""
    for application in config["applications"]:
        if application.get("runtime_env"):
            continue  # it may bring its modules with it
        for where, path in _paths(application):
            if (fault := _fault(path, folders)) is not None:
                yield f"{where} {path!r} cannot be used: {fault}"


def _paths(application: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give all that Serve imports of an application by its path, and where the path stands."""
    label = f"application {application.get('name', '')}: "
    yield f"{label}import_path", application["import_path"]
    yield from _of_policy(f"{label}autoscaling_policy", application.get("autoscaling_policy"))
    for deployment in application.get("deployments", []):
        scaling = deployment.get("autoscaling_config") or {}
        label = f"deployment {deployment['name']}: "
        yield from _of_policy(f"{label}autoscaling_config.policy", scaling.get("policy"))


def _of_policy(where: str, policy: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if policy and (path := policy.get("policy_function")):
        yield f"{where}.policy_function", path


def _fault(path: str, folders: Sequence[str]) -> str | None:
    module, separator, attribute = path.rpartition(":" if ":" in path else ".")
    if not separator or not all(name.isidentifier() for name in [*module.split("."), attribute]):
        return "give a module and a name in it, as package.module:name"
    spec: ModuleSpec | None = None
    for name in _with_parents(module):
        within = spec
        spec = _find(name, within, folders)
        if spec is None:
            known = within is not None and _may_have_more(within)
            return None if known else f"there is no module {name}"
    known = spec is None or _may_have_more(spec) or _binds(spec, attribute)
    return None if known else f"{module} has no {attribute}"


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _find(name: str, within: ModuleSpec | None, folders: Sequence[str]) -> ModuleSpec | None:
    if within is not None:
        return _inside(within, name.rpartition(".")[2])
    try:  # a module without a parent is only looked for, not imported
        return PathFinder.find_spec(name, folders) or importlib.util.find_spec(name)
    except ValueError:  # __main__, which is another one in each process
        return None


def _inside(package: ModuleSpec, name: str) -> ModuleSpec | None:
    """Find it by its own name alone: by the full one its parents would have to be imported."""
    return PathFinder.find_spec(name, list(package.submodule_search_locations or []))


def _may_have_more(spec: ModuleSpec) -> bool:
    source = _source(spec)
    if source is None:
        return not spec.submodule_search_locations  # compiled, not merely a folder
    return any(word in source for word in BY_OTHER_MEANS)


def _binds(spec: ModuleSpec, name: str) -> bool:
    if _inside(spec, name) is not None:
        return True
    try:
        nodes = ast.walk(ast.parse(_source(spec) or ""))
        return any(_names(node) in (name, "*") for node in nodes)
    except SyntaxError:
        return True  # Serve says where


def _names(node: ast.AST) -> str | None:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name
        case ast.Name(ctx=ast.Store()):
            return node.id
        case ast.alias():
            return node.asname or node.name.partition(".")[0]
    return None


def _source(spec: ModuleSpec) -> str | None:
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        return Path(spec.origin).read_text()
    except (OSError, UnicodeDecodeError):
        return None
