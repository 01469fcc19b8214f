"""Extreme events as they are served: whose values, and what the fits say of them."""
