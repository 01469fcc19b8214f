"""Decisions that were made, found by their ids."""
