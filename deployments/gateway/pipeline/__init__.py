"""The way of a batch through the stages, and what is written of it."""
