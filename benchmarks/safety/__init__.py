"""How well, and how fast, policies are checked."""
