"""Intervals that hold: outcomes come back, and move the intervals that follow."""
