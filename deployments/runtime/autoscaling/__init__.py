"""How many replicas each deployment has: what replicas report, and the rule that goes by it."""
