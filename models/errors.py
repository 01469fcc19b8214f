"""Everything that a model or the registry can refuse, in one tree."""

from collections.abc import Sequence


class ModelError(Exception):
    """A model or the registry could not do what was asked; the message says why and what to do."""


class InvalidColumnError(ModelError):
    """A column of the request is missing, misshapen or out of range."""

    def __init__(self, column: str, reason: str, rows: Sequence[int] = ()) -> None:
        super().__init__(f"column {column!r}: {reason}")
        self.column = column
        self.reason = reason
        self.rows = tuple(rows)
        """Those at fault, so that the others can be asked again; empty when it is all."""


class TrainingDataError(ModelError):
    """There is too little history, or none that is usable, to train on."""


class CalibrationError(ModelError):
    """There are too few calibration scores for the level that was asked."""


class ArtifactError(ModelError):
    """A saved model is missing, of another format, or not what was saved."""


class RegistryError(ModelError):
    """The registry refused."""


class InvalidNameError(RegistryError):
    """A model's name, version or alias is not spelled as one."""


class UnknownModelError(RegistryError):
    """No such model, version or alias."""


class VersionTakenError(RegistryError):
    """That version exists already; versions never change."""


class DesignError(ModelError):
    """The experiment cannot be run as designed; the message names the setting."""


class ArmError(ModelError):
    """No such arm, one too many of that name, or one that must stay."""


class SpaceError(ModelError):
    """The space, or parameters said to lie in it, cannot be; the message names the parameter."""


class StudyError(ModelError):
    """The study cannot be run as designed; the message names the setting."""


class TrialError(ModelError):
    """No such trial, one that was told before, or an outcome that is not one."""
