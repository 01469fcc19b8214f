"""Tells which member of a fleet is at fault: replicas or services that report the same metrics.

A member's metric is compared with its own median over the last observations. How far it usually
lies from there, its noise, is the squared mean of the roots of those distances (a power mean:
between the median, for which a metric that moves one minute in five has no noise at all, and the
mean, which one fault can fill), shrunk to that of the whole fleet while the member has said little:

    noise^1/2 = (n own^1/2 + prior fleet^1/2) / (n + prior)

the moderated variance of Smyth (Linear models and empirical Bayes methods, SAGMB 2004) in roots.
So it is of use after a few observations, and a metric known to be restless counts for less.

A fault lasts and noise mostly does not, so of the last `lasting` distances u, in units of the
noise, the least one counts, and none when they lie on different sides. A metric says log(1 + u^2),
minus a Cauchy log density: several metrics that are odd together say more than one very odd one.
All of it is from the past: nothing is ever judged by what came after.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from models.anomaly import codec
from models.anomaly.inputs import checked_points, require_within
from models.elementwise import log
from models.errors import ArtifactError, InvalidColumnError, ModelError
from models.protocols import FloatArray

_KIND = "fleet"
_FARTHEST = 1e60
_LEAST_SHARE, _LEAST = 1e-9, 1e-90  # a constant metric still has a noise, of its last digits


@dataclass(frozen=True)
class FleetSettings:
    """Chosen on simulated faults: `benchmarks/quality/fleet_settings.py` says how."""

    window: int = 15
    """An observation is compared with the median of so many before it."""
    prior: float = 60.0
    """How many observations of its own a member's noise needs to count as much as the fleet's."""
    lasting: int = 2
    """For how many observations in a row a metric must be odd; 1 is fastest, and rings more."""
    warmup: int = 3
    """How many first observations only teach."""
    memory: int = 1_440
    """How many observations the noise goes back, about: a day of minutes."""

    def __post_init__(self) -> None:
        require_within("window", self.window, 2, 10_000)
        require_within("prior", self.prior, 1e-3, 1e9)
        require_within("lasting", self.lasting, 1, 100)
        require_within("warmup", self.warmup, 2, 10_000)
        require_within("memory", self.memory, 2, 1_000_000)


class FleetScores(NamedTuple):
    score: FloatArray
    """(members): the sum of their attributions; 0 in warm-up."""
    attribution: FloatArray
    """(members, metrics): what each metric says."""


class Fleet:
    """One fleet of fixed members. It changes with every observation; one thread at a time."""

    def __init__(
        self,
        members: int,
        metrics: int,
        settings: FleetSettings | None = None,
        *,
        weights: FloatArray | None = None,
    ) -> None:
        """Weigh metrics that measure one quantity by one over their number; else all by 1."""
        if members < 1 or metrics < 1:
            raise ModelError(f"{members} members, {metrics} metrics: a fleet has one or more")
        self.settings = settings or FleetSettings()
        self.members, self.metrics, self.seen = members, metrics, 0
        self._weights = _checked_weights(weights, metrics)
        self._past = np.zeros((self.settings.window, members, metrics))
        self._odd = np.zeros((self.settings.lasting, members, metrics))
        self._root_noise = np.zeros((members, metrics))

    def advance(self, values: FloatArray) -> FleetScores:
        """Score one instant's observation, (members, metrics), and learn from it.

        Give metrics on the scale on which their noise is even: most often their logarithm.
        """
        given = checked_points(values, self.metrics, "values")
        if len(given) != self.members:
            raise InvalidColumnError("values", f"has {len(given)} rows; give {self.members}")
        off = given - self._reference() if self.seen else np.zeros_like(given)
        self._odd[self.seen % len(self._odd)] = self._in_noise(given, off)
        self._learn(given, off)
        said = self._weights * log(1.0 + np.square(_lasting(self._odd)))
        return FleetScores(said.sum(axis=1), said)

    def nbytes(self) -> int:
        """Say how much memory the state takes."""
        return sum(array.nbytes for array in self._state().values())

    def encode(self) -> bytes:
        """Write the state down; what `decode` makes of it goes on to the same bits."""
        return codec.encode(_KIND, asdict(self.settings) | {"seen": self.seen}, self._state())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Take up what `encode` wrote; ArtifactError when it is damaged or of something else."""
        snapshot = codec.decode(data, _KIND)
        fixed: dict[str, Any] = dict(snapshot.settings)
        try:
            seen, state = fixed.pop("seen"), snapshot.arrays
            settings = FleetSettings(**fixed)
            members, metrics = state["root_noise"].shape
            fleet = cls(members, metrics, settings, weights=state["weights"])
            for name, array in fleet._state().items():
                array[...] = state[name]
        except (KeyError, TypeError, ValueError, ModelError) as error:
            raise ArtifactError(f"the snapshot is not of a fleet: {error}") from error
        fleet.seen = seen
        return fleet

    def _reference(self) -> FloatArray:
        middle: FloatArray = np.median(self._past[: min(self.seen, len(self._past))], axis=0)
        return middle

    def _in_noise(self, given: FloatArray, off: FloatArray) -> FloatArray:
        if self.seen < self.settings.warmup:
            return np.zeros_like(off)
        count, prior = self._learnt(), self.settings.prior
        fleet = self._root_noise.mean(axis=0)
        root = (count * self._root_noise + prior * fleet) / (count + prior)
        least = np.maximum(_LEAST_SHARE * np.abs(given), _LEAST)
        noise = np.maximum(np.square(root), least)
        return np.asarray(np.clip(off / noise, -_FARTHEST, _FARTHEST))

    def _learnt(self) -> int:
        """Say how many distances the noise is of; the first observation has none."""
        return min(max(self.seen - 1, 0), self.settings.memory)

    def _learn(self, given: FloatArray, off: FloatArray) -> None:
        if self.seen:
            share = 1.0 / min(self._learnt() + 1, self.settings.memory)
            self._root_noise += share * (np.sqrt(np.abs(off)) - self._root_noise)
        self._past[self.seen % len(self._past)] = given
        self.seen += 1

    def _state(self) -> Mapping[str, FloatArray]:
        return {
            "past": self._past,
            "odd": self._odd,
            "root_noise": self._root_noise,
            "weights": self._weights,
        }


def _lasting(odd: FloatArray) -> FloatArray:
    """Give the least of the distances where all are on one side, else 0."""
    low, high = odd.min(axis=0), odd.max(axis=0)
    return np.asarray(np.maximum(low, 0.0) - np.minimum(high, 0.0))


def _checked_weights(weights: FloatArray | None, metrics: int) -> FloatArray:
    given = np.ones(metrics) if weights is None else np.array(weights, dtype=np.float64)
    if given.shape != (metrics,) or not (np.isfinite(given).all() and (given > 0).all()):
        raise ModelError(f"weights are {given.tolist()}: give {metrics} numbers above 0")
    return given
