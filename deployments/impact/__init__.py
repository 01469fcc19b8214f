"""What a version of the configuration would have changed: recorded decisions, played once more."""
