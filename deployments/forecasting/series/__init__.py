"""Forecasts of series that nobody trained for: those of requests, and metrics by name."""
