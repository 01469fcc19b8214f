"""Training sets: for each entity and moment, the features that the live path served then."""
