"""State by key: one replica holds a key, Redis holds its log, any replica can take it over."""
