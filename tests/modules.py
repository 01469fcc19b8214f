"""Modules of users' functions, for platforms of tests."""

from pathlib import Path

from features.functions.kept import FunctionModules

# Nothing is read there, and nothing is written.
NO_MODULES = FunctionModules(None, Path("/nonexistent"))
