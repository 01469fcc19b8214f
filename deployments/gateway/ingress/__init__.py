"""The inference paths, without the layers of FastAPI."""
