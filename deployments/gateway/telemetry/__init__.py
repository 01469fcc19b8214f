"""Telemetry that is posted."""
