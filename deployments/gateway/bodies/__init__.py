"""Bodies of requests: read, bounded and validated."""
