"""A checker that is never quick: every rule is held against every row, and nothing is told sooner.

What a batch costs may depend on what is in it; what becomes of it may not.
"""

import numpy as np
import numpy.typing as npt

from safety.checker import Checker, Columns, Verdicts


class Thorough(Checker):
    def check(self, columns: Columns, n: int) -> Verdicts:
        """Judge as the quick one does; here the rules that nothing broke are given too."""
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = self.matrix(columns, n)
            broken = self.reported(self.broken(matrix))
            found = self._verdicts(matrix, broken)
        return Verdicts(found.levels, found.violations, broken)

    def matrix(self, columns: Columns, n: int) -> npt.NDArray[np.float64]:
        """Lay the columns out one by one."""
        matrix = np.empty((len(self.fields), n))
        for at, field in enumerate(self.fields):
            matrix[at] = columns.get(field, np.nan)
        return matrix
