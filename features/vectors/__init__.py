"""All features of an entity at once: computed of telemetry, published, and read."""
