"""How large a study may grow, in every direction."""

MOST_TRIALS = 10_000
MOST_GOALS = 4
MOST_CONSTRAINTS = 10
MOST_CANDIDATES = 10_000
