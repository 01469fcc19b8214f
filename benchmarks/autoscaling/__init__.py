"""Replicas over time while load comes in a step and goes again, in both profiles."""
