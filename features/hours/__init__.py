"""Telemetry by the hour, and what calendars know of each hour, past and to come."""
