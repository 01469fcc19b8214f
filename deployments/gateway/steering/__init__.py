"""Which version answers, what was in force, and who goes by another."""
