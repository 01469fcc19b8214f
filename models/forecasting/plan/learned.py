"""What was learned of workers and rates, and the files that it is kept in.

Two files, no pickle: curves.bin holds the numbers, each array with its length, under a checksum;
meta.json names the entities. Reading them runs nothing.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
import orjson

from models.errors import ArtifactError
from models.forecasting.plan.curves import LOADS
from models.forecasting.plan.rates import WEEK_HOURS
from models.online import frame
from models.protocols import FloatArray, IntArray

FORMAT = 1
_KIND = "capacity"
_CURVES, _META = "curves.bin", "meta.json"


@dataclass(frozen=True, slots=True)
class Learned:
    """A row an entity; curves have the pool's row before them."""

    entities: tuple[str, ...]
    minutes: IntArray
    """Of whole telemetry."""
    full: FloatArray
    """The rate per worker that counts as load 1."""
    usual_p50: FloatArray
    usual_p99: FloatArray
    """Milliseconds, in the latest week."""
    log_p99: FloatArray
    """At each of curves.LOADS, over the usual one."""
    cpu: FloatArray
    peak: FloatArray
    """How far minutes rise over their hour's mean, at each hour of the week."""
    persistence: float
    """Share of a surprise that is left an hour later."""

    def save(self, folder: Path) -> None:
        numbers = frame.pack(_KIND, FORMAT, [each.ravel() for each in self._arrays()])
        document = {
            "format": FORMAT,
            "entities": self.entities,
            "loads": LOADS.tolist(),
            "curves_sha256": sha256(numbers).hexdigest(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _CURVES).write_bytes(numbers)
        (folder / _META).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read both files; ArtifactError when they are not the two that `save` left."""
        try:
            numbers, text = (folder / _CURVES).read_bytes(), (folder / _META).read_bytes()
            document = orjson.loads(text)
            entities = tuple(map(str, document["entities"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{folder} holds no readable capacity model: {type(error).__name__}: {error}"
            ) from error
        if (document.get("format"), document.get("loads")) != (FORMAT, LOADS.tolist()):
            raise ArtifactError(
                f"{folder} was written by another release; train the capacity model again"
            )
        if document.get("curves_sha256") != sha256(numbers).hexdigest():
            raise ArtifactError(f"{folder / _CURVES} is not the file that was saved")
        minutes, full, p50, p99, log_p99, cpu, peak, lasting = frame.unpack(_KIND, FORMAT, numbers)
        shape = (len(entities) + 1, LOADS.size)
        return cls(
            entities, minutes, full, p50, p99,
            log_p99.reshape(shape), cpu.reshape(shape),
            peak.reshape(len(entities), WEEK_HOURS), float(lasting[0]),
        )  # fmt: skip

    def _arrays(self) -> list[FloatArray | IntArray]:
        lasting = np.array([self.persistence])
        return [
            self.minutes, self.full, self.usual_p50, self.usual_p99,
            self.log_p99, self.cpu, self.peak, lasting,
        ]  # fmt: skip
