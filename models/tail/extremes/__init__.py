"""Values rarer than the data: peaks over a threshold, block maxima, live thresholds."""
