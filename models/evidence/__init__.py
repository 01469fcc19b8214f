"""Sequential tests of a candidate against an incumbent that may be looked at any time."""
