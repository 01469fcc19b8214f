"""Several forecasters as one: the weighted mean of those that answer.

Where demand varies in proportion the mean is that of logarithms, and the interval so many per cent:
then each entity has a shift (see log_scale.py). The members keep to their own scales.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

import numpy as np

from models.forecasting import artifact
from models.forecasting.answers import DRIVERS, Answer, stacked
from models.forecasting.blend import Blend, mean_weights
from models.forecasting.forecaster import Forecast, Forecaster, HourlySeries
from models.forecasting.kinds import kind_of, load_member
from models.forecasting.log_scale import off_scale, on_scale
from models.protocols import FloatArray

KIND = "ensemble"


class EnsembleForecaster:
    """Answers a series that any member answers; an entity without a blend gets the mean one."""

    name = KIND

    def __init__(
        self,
        members: Sequence[Forecaster],
        blends: Mapping[str, Blend],
        level: float = 0.9,
        shifts: Mapping[str, float] | None = None,
    ) -> None:
        self.members = tuple(members)
        self.blends = dict(blends)
        self.level = level
        self.shifts = dict(shifts or {})
        """By entity; those without one are averaged as they are."""
        self._others = mean_weights(list(self.blends.values()))

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        """Answer each series once, however many rows are the same object: they share an answer."""
        once = {id(each): each for each in series}
        asked = list(once.values())
        said, failed = self._ask_members(asked, horizon)
        answers = {
            key: self._answer(row, each, said, failed)
            for row, (key, each) in enumerate(once.items())
        }
        return stacked([answers[id(each)] for each in series], horizon, self.level)

    def save(self, folder: Path) -> None:
        """Save the blends, and each member in a folder of its name."""
        body = {
            "level": self.level,
            "members": [(member.name, kind_of(member)) for member in self.members],
            "blends": {entity: asdict(blend) for entity, blend in self.blends.items()},
            "shifts": self.shifts,
        }
        artifact.write(folder, KIND, body)
        for member in self.members:
            member.save(folder / member.name)

    @classmethod
    def load(cls, folder: Path, load: Callable[[str, Path], Forecaster] = load_member) -> Self:
        """Load what `save` left; `load` may bring members that another artifact holds."""
        body = artifact.read(folder, KIND)
        members = [load(kind, folder / name) for name, kind in body["members"]]
        blends = {entity: Blend.of(each) for entity, each in body["blends"].items()}
        return cls(members, blends, body["level"], body["shifts"])

    def _ask_members(
        self, series: Sequence[HourlySeries], horizon: int
    ) -> tuple[dict[str, Forecast], list[str]]:
        """Ask every member; one that throws is left out, and each answer will say so."""
        said, failed = {}, []
        for member in self.members:
            try:
                said[member.name] = member.forecast(series, horizon)
            except Exception as error:  # noqa: BLE001  whatever one throws, the others answer
                failed.append(f"without {member.name}: {type(error).__name__}: {error}")
        return said, failed

    def _answer(
        self,
        row: int,
        series: HourlySeries,
        said: Mapping[str, Forecast],
        failed: Sequence[str],
    ) -> Answer | None:
        answered = {name: each for name, each in said.items() if np.isfinite(each.point[row]).all()}
        if not answered:
            return None
        blend, shift = self.blends.get(series.entity), self.shifts.get(series.entity)
        weights = _shares(answered, self._others if blend is None else blend.weights)
        logs = {name: on_scale(each, shift) for name, each in _rows(answered, "point", row).items()}
        middle = _mean(weights, logs)
        point = off_scale(middle, shift)
        if blend is None:
            lower, upper = (_mean(weights, _rows(answered, end, row)) for end in ("lower", "upper"))
        else:
            ends = (_as_long(each, point.size) for each in (blend.below, blend.above))
            lower, upper = (off_scale(middle + end, shift) for end in ends)
        shares = [f"{name} {share:.2f}" for name, share in weights.items() if share]
        basis = ", ".join([*shares, *failed])
        drivers = _drivers(row, point, weights, answered)
        return Answer(point, np.minimum(lower, point), np.maximum(upper, point), drivers, basis)


def _shares(answered: Mapping[str, Forecast], weights: Mapping[str, float]) -> dict[str, float]:
    """Share the weights out among those who answered; equally when none of them has one."""
    own = {name: weights.get(name, 0.0) for name in answered}
    total = sum(own.values())
    return {name: each / total if total > 0 else 1 / len(own) for name, each in own.items()}


def _mean(weights: Mapping[str, float], rows: Mapping[str, FloatArray]) -> FloatArray:
    total = np.zeros(len(next(iter(rows.values()))))
    for name, share in weights.items():
        if share > 0:
            total = total + share * rows[name]
    return total


def _rows(answered: Mapping[str, Forecast], end: str, row: int) -> dict[str, FloatArray]:
    return {name: getattr(each, end)[row] for name, each in answered.items()}


def _drivers(
    row: int, point: FloatArray, weights: Mapping[str, float], answered: Mapping[str, Forecast]
) -> dict[str, FloatArray]:
    """Average the parts of those that have any, and bring the trend up to the blend's point."""
    telling = {
        name: each
        for name, each in answered.items()
        if weights[name] > 0 and each.drivers and np.isfinite(each.drivers[DRIVERS[0]][row]).all()
    }
    if not telling:
        return {}
    shares = _shares(telling, weights)
    parts = {
        part: _mean(shares, {name: each.drivers[part][row] for name, each in telling.items()})
        for part in DRIVERS[1:]
    }
    return {DRIVERS[0]: point - sum(parts.values()), **parts}


def _as_long(ends: Sequence[float], horizon: int) -> FloatArray:
    """Hold the last end for distances that were never judged."""
    return np.array(ends)[np.minimum(np.arange(horizon), len(ends) - 1)]
