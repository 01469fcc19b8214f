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
from models.anomaly.fleet_kernel import Memory, Rules, follow
from models.anomaly.inputs import checked_points, require_within
from models.errors import ArtifactError, ModelError
from models.protocols import FloatArray

_KIND = "fleet"


@dataclass(frozen=True)
class FleetLayout:
    """Who is in a fleet: so many members, each with the same metrics."""

    members: int
    weights: tuple[float, ...]
    """One a metric: one over the number of those that measure the same quantity."""

    def __post_init__(self) -> None:
        if self.members < 1 or not self.weights:
            raise ModelError(
                f"{self.members} members and {len(self.weights)} metrics: a fleet needs at least "
                "one of each"
            )
        given = np.array(self.weights)
        if not (np.isfinite(given).all() and (given > 0).all()):
            raise ModelError(f"weights are {list(self.weights)}: give numbers above 0")

    @classmethod
    def even(cls, members: int, metrics: int) -> Self:
        """Weigh all metrics alike."""
        return cls(members, (1.0,) * metrics)

    @property
    def dimensions(self) -> int:
        """Say how many numbers a point has: the members' metrics, one member after another."""
        return self.members * len(self.weights)


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
    """(rows): that of the member at fault; 0 in warm-up."""
    attribution: FloatArray
    """(rows, dimensions): what each metric of each member says."""


def by_member(attribution: FloatArray, members: int) -> FloatArray:
    """Give each member's score, (rows, members): the sum of what its metrics say."""
    rows, dimensions = attribution.shape
    scores: FloatArray = attribution.reshape(rows, members, dimensions // members).sum(axis=2)
    return scores


class Fleet:
    """One fleet of fixed members. It changes with every point; one thread at a time."""

    def __init__(self, roster: FleetLayout, settings: FleetSettings | None = None) -> None:
        self.roster, self.settings = roster, settings or FleetSettings()
        self.dimensions, self.seen = roster.dimensions, 0
        self._weights = np.array(roster.weights)
        self._memory = Memory(
            past=np.zeros((self.settings.window, self.dimensions)),
            odd=np.zeros((self.settings.lasting, self.dimensions)),
            root_noise=np.zeros(self.dimensions),
            ordered=np.zeros((self.dimensions, self.settings.window)),
        )
        self._rules = Rules(self.settings.prior, self.settings.warmup, self.settings.memory)

    def advance(self, points: FloatArray) -> FleetScores:
        """Score points in their order, each before the next is known, and learn from them.

        A point is the members' metrics, one member after another. Give metrics on the scale on
        which their noise is even: most often their logarithm.
        """
        given = checked_points(points, self.dimensions) + 0.0  # -0 and 0 have no order
        said = np.zeros(given.shape)
        follow(self._memory, self._rules, self._weights, given, self.seen, said)
        self.seen += len(given)
        return FleetScores(by_member(said, self.roster.members).max(axis=1), said)

    def nbytes(self) -> int:
        """Say how much memory the state takes."""
        return sum(array.nbytes for array in self._memory)

    def encode(self) -> bytes:
        """Write the state down; what `decode` makes of it goes on to the same bits."""
        fixed = asdict(self.settings) | {"seen": self.seen, "members": self.roster.members}
        return codec.encode(_KIND, fixed, self._state())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Take up what `encode` wrote; ArtifactError when it is damaged or of something else."""
        snapshot = codec.decode(data, _KIND)
        fixed: dict[str, Any] = dict(snapshot.settings)
        try:
            seen, members = fixed.pop("seen"), fixed.pop("members")
            roster = FleetLayout(members, tuple(snapshot.arrays["weights"].tolist()))
            fleet = cls(roster, FleetSettings(**fixed))
            for name, array in fleet._state().items():
                array[...] = snapshot.arrays[name]
        except (KeyError, TypeError, ValueError, ModelError) as error:
            raise ArtifactError(f"the snapshot is not of a fleet: {error}") from error
        fleet.seen = seen
        held = fleet._memory.past[:seen]
        fleet._memory.ordered[:, : len(held)] = np.sort(held, axis=0).T
        return fleet

    def _state(self) -> Mapping[str, FloatArray]:
        memory = self._memory
        return {
            "past": memory.past,
            "odd": memory.odd,
            "root_noise": memory.root_noise,
            "weights": self._weights,
        }
