"""The ways to the stages."""
