"""Rollouts, such as a canary: begun, judged, advanced, ended; which keys see the candidate."""
