"""Reading vectors of features: Ballast beside Feast, and what its own cache is worth."""
