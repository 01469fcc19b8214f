"""Forecasts as they are served: made once an hour for every entity, looked up by every request."""
