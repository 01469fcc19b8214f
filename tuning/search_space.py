"""Ray Tune's search spaces as spaces of a study, and parameters back as Tune nests them."""

from collections.abc import Mapping
from typing import Any

from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Uniform
from ray.tune.search.variant_generator import parse_spec_vars
from ray.tune.utils.util import flatten_dict, unflatten_dict

from models.errors import SpaceError
from models.optimization.bayes.space import Parameters, Space


def space_of(config: Mapping[str, Any]) -> Space:
    """Convert uniform and log-uniform floats and integers, and choices; constants are left out."""
    _, _, grids = parse_spec_vars(dict(config))
    if grids:
        raise SpaceError(f"{_name(grids[0][0])}: a model cannot search a grid; use choice")
    _, domains, _ = parse_spec_vars(flatten_dict(dict(config), prevent_delimiter=True))
    return Space.parse({_name(path): _document(_name(path), each) for path, each in domains})


def nested(parameters: Parameters) -> dict[str, Any]:
    found: dict[str, Any] = unflatten_dict(parameters)
    return found


def flat(config: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Pick the parameters of a space out of a trial's configuration."""
    every = flatten_dict(dict(config), prevent_delimiter=True)
    return {name: every[name] for name, _ in space.parameters if name in every}


def _name(path: Any) -> str:
    return "/".join(path)


def _document(name: str, domain: Domain) -> dict[str, Any]:
    sampler = domain.get_sampler()
    if isinstance(domain, Categorical):
        return {"type": "categorical", "choices": list(domain.categories)}
    if not isinstance(domain, Float | Integer) or not isinstance(sampler, Uniform | LogUniform):
        raise SpaceError(f"{name}: {domain!r} has no bounds to search between, or has steps")
    log = isinstance(sampler, LogUniform)
    if isinstance(domain, Float):
        return {"type": "float", "low": domain.lower, "high": domain.upper, "log": log}
    # Tune leaves an integer's upper end out.
    return {"type": "int", "low": domain.lower, "high": domain.upper - 1, "log": log}
