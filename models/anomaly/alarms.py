"""Turns scores into p-values, and p-values into alarms that are false no more often than agreed.

P-value: the rank of a score among the stream's own last ones, ties broken at random (conformal,
online; Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, section 2). It
is uniform when the scores are exchangeable, whatever their distribution. The same observation ties
with itself though its score has drifted: or the zeros of a rare count would be odd among zeros.

Alarm: a Shiryaev-Roberts e-detector (Shin, Ramdas and Rinaldo, E-detectors, NEJSDS 2024). Each
observation puts a share of the budget on a bet that the stream changes now, and what was won
before stays in the bet; a bet b p^(b-1) has mean 1 when p is uniform. The evidence M therefore
grows, on average, by no more than the shares put in. The alarm needs M to reach 1, so

    E[false alarms in any period] <= the shares spent in it,

which holds for the sum over all streams however they depend on each other. Spending budget /
(observations per day of all streams together) with each observation keeps `budget` a day.

A rank says something about the ranks to come unless all of them are taken in one growing set. So
an epoch's bets are judged against the scores since the epoch before it began, for this epoch and
the next, and then dropped: two detectors overlap, each with p-values that are independent and
uniform as long as the scores of three epochs in a row are exchangeable. That is all the guarantee
asks for.

Scores of real detectors and real streams are not exchangeable: they drift, cluster and follow the
hour. So an alarm must also be rare by what the stream itself has done so far (`recorded`): the
evidence of the present excursion must be above the level that its record of peaks, extrapolated,
reaches at the rate of the share (`models/anomaly/record_kernel.py`). An alarm leaves its peak in
the record, so a stream that keeps ringing makes itself heard ever less. That this keeps the budget
under dependence is measured (`make quality`), not proven; it can only take alarms away from those
that the theorem allows. A single score may ring by the record alone (`spikes`), at half the budget.

An excursion that has rung does not ring again, and after an alarm the detector learns anew from
what follows: a change that stays is told once.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly import codec
from models.anomaly.alarm_kernel import BETS, Memory, Rules, judge
from models.anomaly.inputs import require_within
from models.anomaly.record_kernel import PEAKS
from models.anomaly.slots import Slots, checked_rows, fill, grown
from models.errors import ArtifactError, InvalidColumnError, ModelError
from models.memory import give_back
from models.protocols import BoolArray, FloatArray, IntArray

_KIND = "alarm"
_FARTHEST = 1e38  # scores are kept as float32
_MIXER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class AlarmSettings:
    epoch: int = 512
    """A score is judged against the last one to three epochs of them."""
    dependence: int = 1
    """Over how many observations scores depend on each other: for a shingle, its length."""
    recorded: bool = True
    """Whether an alarm must also be rare by the stream's own record, which holds for scores that
    depend on each other too; without it the e-detector decides alone."""
    spikes: bool = False
    """Whether a single score far beyond the record may ring; half of the budget goes there. Only
    for scores whose tail is about exponential: minus a log density, the logarithm of a ratio."""
    learning: int = 256
    """How many observations a stream's record needs before it may ring."""
    era: int = 16_384
    """The record goes back one to two of these, in observations."""

    def __post_init__(self) -> None:
        require_within("epoch", self.epoch, 8, 65_536)
        require_within("dependence", self.dependence, 1, 1_000)
        if self.spikes and not self.recorded:
            raise ModelError("spikes needs the record: set recorded to true as well")
        require_within("learning", self.learning, 16, 1_000_000)
        require_within("era", self.era, 16, 100_000_000)


@dataclass(frozen=True)
class Judged:
    p_value: FloatArray
    """Against the last three epochs, or all there is; not affected by alarms."""
    evidence: FloatArray
    """The alarm rings at 1."""
    alarm: BoolArray


def share(alarms_per_day: float, observations_per_day: float) -> float:
    """Give each observation its part of a budget, the observations being those of all streams."""
    if not (alarms_per_day > 0 and observations_per_day > 0):
        raise ModelError(f"{alarms_per_day} alarms in {observations_per_day} observations a day")
    return min(1.0, alarms_per_day / observations_per_day)


def checked_shares(shares: FloatArray | float, rows: int) -> FloatArray:
    """Give one a row; InvalidColumnError when there is another count or one is not 0 to 1."""
    spent = checked_rows("shares", shares, rows)
    if spent.size and not (spent.min() >= 0 and spent.max() <= 1):
        raise InvalidColumnError(
            "shares", "an observation's share of the budget must be from 0 to 1"
        )
    return spent


def labels_of(observed: FloatArray) -> NDArray[np.uint16]:
    """Give each row 16 bits of a hash: two rows that differ share them once in 65,536 times."""
    bits = np.ascontiguousarray(observed + 0.0, dtype=np.float64).view(np.uint64)
    mixed = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:
        mixed = (mixed ^ column) * _MIXER
        mixed ^= mixed >> np.uint64(29)
    return np.asarray((mixed * _MIXER) >> np.uint64(48), dtype=np.uint16)


class AlarmBank:
    """Many streams under one rule. It changes as they advance."""

    def __init__(self, settings: AlarmSettings | None = None, *, reserve: int = 0) -> None:
        """Reserve address space for so many streams: it is no memory until they open."""
        self.settings = settings or AlarmSettings()
        self._slots = Slots(reserve)
        self._rules = Rules(
            epoch=self.settings.epoch,
            power=1 / self.settings.dependence,
            recorded=self.settings.recorded,
            spikes=self.settings.spikes,
            learning=self.settings.learning,
            era=self.settings.era,
        )
        self._memory = Memory(
            scores=np.zeros((reserve, 3 * self.settings.epoch), dtype=np.float32),
            labels=np.zeros((reserve, 3 * self.settings.epoch), dtype=np.uint16),
            total=np.zeros(reserve, dtype=np.int64),
            start=np.zeros(reserve, dtype=np.int64),
            seed=np.zeros(reserve, dtype=np.uint64),
            evidence=np.zeros((reserve, 2, len(BETS))),
            peaks=np.zeros((reserve, 2, 2, PEAKS), dtype=np.float32),
            held=np.zeros((reserve, 2, 2), dtype=np.int64),
            seen=np.zeros((reserve, 2), dtype=np.int64),
            walk=np.zeros(reserve),
            high=np.zeros((reserve, 2)),
            told=np.zeros(reserve, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self._slots)

    def open(self, seed: int) -> int:
        """Begin a stream; the seed breaks its ties."""
        slot = self._slots.take()
        if self._slots.capacity > len(self._memory.total):
            self._memory = Memory(**grown(self._memory._asdict(), self._slots.capacity))
        for array in self._memory:
            array[slot] = 0
        self._memory.seed[slot] = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
        return slot

    def close(self, slot: int) -> None:
        self._slots.release(slot)

    def advance(
        self,
        slots: IntArray,
        scores: FloatArray,
        shares: FloatArray | float,
        observed: FloatArray | None = None,
    ) -> Judged:
        """Judge one score a row, large ones being odd; a stream may have several rows, in order.

        `observed`, (rows, dimensions), is what the scores are of; left out, the scores themselves.
        """
        rows = np.array(slots, dtype=np.int64)
        self._slots.require(rows.tolist())
        given = np.clip(checked_rows("scores", scores, rows.size), -_FARTHEST, _FARTHEST)
        spent = checked_shares(shares, rows.size)
        judged = Judged(
            np.zeros(rows.size), np.zeros(rows.size), np.zeros(rows.size, dtype=np.bool_)
        )
        judge(
            self._memory,
            self._rules,
            rows,
            given.astype(np.float32),
            labels_of(given[:, None] if observed is None else observed),
            spent,
            judged.p_value,
            judged.evidence,
            judged.alarm,
        )
        return judged

    def nbytes(self) -> int:
        """Say how much memory a stream takes."""
        return sum(array[:1].nbytes for array in self._memory)

    def give_back(self, runs: list[tuple[int, int]]) -> None:
        """Return the memory of these free slots to the system."""
        give_back(self._memory, runs)

    def encode(self, slot: int) -> bytes:
        """Write a stream down; what `restore` makes of it goes on to the same bits."""
        self._slots.require((slot,))
        state = {name: array[slot] for name, array in self._memory._asdict().items()}
        for name in ("scores", "labels"):
            state[name] = state[name][: int(state["total"])]
        return codec.encode(_KIND, asdict(self.settings), state)

    def restore(self, data: bytes) -> int:
        """Open a stream as `encode` wrote it; ArtifactError when it is not of these settings."""
        snapshot = codec.decode(data, _KIND)
        if dict(snapshot.settings) != asdict(self.settings):
            raise ArtifactError(
                f"the snapshot was made with the settings {snapshot.settings}, which differ "
                "from these"
            )
        slot = self.open(0)
        try:
            fill(self._memory._asdict(), slot, snapshot.arrays)
        except ArtifactError:
            self.close(slot)
            raise
        return slot
