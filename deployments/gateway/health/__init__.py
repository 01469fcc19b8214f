"""How this gateway fares: what it counts, what it watches, and why it is degraded."""
