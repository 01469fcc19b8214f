"""What an experiment refuses; the rest of the tree is in models/errors.py."""

from models.errors import ModelError


class DesignError(ModelError):
    """The experiment cannot be run as designed; the message names the setting."""


class ArmError(ModelError):
    """No such arm, one too many of that name, or one that must stay."""
