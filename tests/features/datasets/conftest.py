"""The engine that telemetry's own tests have."""

from tests.features.telemetry.conftest import empty, engine

__all__ = ("empty", "engine")
