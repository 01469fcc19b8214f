"""Events that a client is sent as they come, and how many may listen."""
