"""A seeded campaign: the platform under mixed load while its processes are killed and stopped."""
