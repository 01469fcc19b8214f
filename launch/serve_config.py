"""Reads serve_config.yaml, and tells whether the machine has the CPUs that it asks for."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launch import import_paths
from launch.errors import ConfigFileError, TooFewCpusError
from launch.serve_keys import faults

HISTORY_CPUS = 0.1
"""What the history actor reserves beside the deployments."""

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Demand:
    """What one deployment asks for."""

    deployment: str
    replicas: int
    cpus: float  # of one replica


def read(path: Path, host: str, port: int) -> Config:
    """Read the operator's file, with the address of this run in it; refuse what is wrong there."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "cannot be opened"
        raise ConfigFileError(path, f"{what}: run this command in the project's folder") from None
    except UnicodeDecodeError:
        raise ConfigFileError(path, "is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise ConfigFileError(path, f"is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigFileError(path, "has no list of applications")
    if wrong := list(faults(content)):
        raise ConfigFileError(path, f"cannot be used: {'; '.join(wrong)}")
    content.setdefault("http_options", {}).update(host=host, port=port)
    return content


def check_imports(config: Config, path: Path) -> None:
    """Refuse an application that is not where its import path says."""
    if wrong := list(import_paths.faults(config, [str(Path.cwd())])):
        raise ConfigFileError(path, f"cannot be used: {'; '.join(wrong)}")


def demands(config: Config) -> list[Demand]:
    return [
        Demand(each["name"], _replicas(each), _cpus(each))
        for application in config["applications"]
        for each in application.get("deployments", [])
    ]


def check_fits(asked: list[Demand], cpus: float, config_file: Path) -> str | None:
    """Refuse what can never run; give a warning when not every replica will have its place."""
    for each in asked:
        if each.cpus > cpus:
            raise TooFewCpusError(
                f"One replica of {each.deployment} asks for {each.cpus:g} CPUs", cpus, config_file
            )
    least = sum(each.cpus for each in asked) + HISTORY_CPUS
    if least > cpus + 1e-9:
        what = f"One replica of each deployment asks for {least:g} CPUs"
        raise TooFewCpusError(what, cpus, config_file)
    total = sum(each.cpus * each.replicas for each in asked) + HISTORY_CPUS
    if total <= cpus + 1e-9:
        return None
    several = [f"{each.deployment} {each.replicas}" for each in asked if each.replicas > 1]
    return (
        f"{config_file} asks for {total:g} CPUs, and this machine has {cpus:g}: not every "
        f"replica will be placed ({', '.join(several)}). Each deployment gets one replica "
        "first; lower num_cpus, min_replicas or num_replicas in that file."
    )


def one_replica_each(config: Config) -> Config:
    """Give the same configuration with the least of everything."""
    least = deepcopy(config)
    for application in least["applications"]:
        for each in application.get("deployments", []):
            if isinstance(scaling := each.get("autoscaling_config"), dict):
                scaling.update(min_replicas=1, initial_replicas=1)
            else:
                each["num_replicas"] = 1
    return least


def _replicas(deployment: Config) -> int:
    scaling = deployment.get("autoscaling_config")
    if isinstance(scaling, dict):
        return int(scaling.get("initial_replicas") or scaling.get("min_replicas") or 1)
    asked = deployment.get("num_replicas", 1)
    return asked if isinstance(asked, int) else 1  # "auto" begins with one


def _cpus(deployment: Config) -> float:
    options = deployment.get("ray_actor_options") or {}
    return float(options.get("num_cpus", 1))  # Serve's own default
