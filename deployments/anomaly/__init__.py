"""Streams of observations: what is kept of each, and how the detectors follow them."""
