"""Experiments: bandits whose every decision and reward is written down before it is answered."""
