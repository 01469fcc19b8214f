"""What judging costs: the shipped policies, and one of two hundred rules."""
