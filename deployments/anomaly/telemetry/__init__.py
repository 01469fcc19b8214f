"""The streams of telemetry: fed in the background, one for each metric of each entity."""
