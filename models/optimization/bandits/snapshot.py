"""An experiment as bytes: resumed, it goes on to the bit."""

from dataclasses import asdict
from typing import Any

from models.errors import ArtifactError, DesignError
from models.optimization.bandits.codec import Arrays, pack, unpack
from models.optimization.bandits.decision_log import COLUMNS, DecisionLog
from models.optimization.bandits.design import Budget, Design, Feature
from models.optimization.bandits.experiment import Experiment, Posterior, fresh_posterior

_LINEAR = ("precision", "moment", "squares", "weight")
_BERNOULLI = ("successes", "failures")


def encode(experiment: Experiment) -> bytes:
    facts = {
        "design": asdict(experiment.design),
        "arms": experiment.arms,
        "retired": sorted(experiment.retired),
        "baseline": experiment.baseline,
        "balance": experiment.balance,
        "tally": experiment.tally,
        "recorded": experiment.log.recorded,
    }
    columns = {name: experiment.log.column(name) for name in COLUMNS}
    sums = {name: getattr(experiment.posterior, name) for name in _sums(experiment.design)}
    return pack("experiment", facts, columns | sums)


def decode(data: bytes) -> Experiment:
    """Read what `encode` wrote; ArtifactError when it is not that."""
    facts, arrays = unpack("experiment", data)
    try:
        design = design_from(facts["design"])
        log = DecisionLog(design.capacity, facts["recorded"], *(arrays[name] for name in COLUMNS))
        return Experiment(
            design, facts["arms"], set(facts["retired"]), facts["baseline"],
            _posterior(design, arrays), log, facts["balance"], facts["tally"],
        )  # fmt: skip
    except (KeyError, TypeError, DesignError) as error:
        raise ArtifactError(f"the experiment's state is not complete: {error!r}") from error


def design_from(document: dict[str, Any]) -> Design:
    """Read a design as JSON gives it; DesignError when a setting is wrong."""
    features = tuple(Feature(**each) for each in document.get("features", ()))
    budget = Budget(**document["budget"]) if document.get("budget") else None
    return Design(**document | {"features": features, "budget": budget})


def _sums(design: Design) -> tuple[str, ...]:
    return _BERNOULLI if design.family == "bernoulli" else _LINEAR


def _posterior(design: Design, arrays: Arrays) -> Posterior:
    posterior = fresh_posterior(design, arms=0)
    for name in _sums(design):
        setattr(posterior, name, arrays[name])
    return posterior
