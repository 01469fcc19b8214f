"""What a study refuses; the rest of the tree is in models/errors.py."""

from models.errors import ModelError


class SpaceError(ModelError):
    """The space, or parameters said to lie in it, cannot be; the message names the parameter."""


class StudyError(ModelError):
    """The study cannot be run as designed; the message names the setting."""


class TrialError(ModelError):
    """No such trial, one that was told before, or an outcome that is not one."""
