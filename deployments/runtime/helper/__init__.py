"""A process beside a replica: for what would hold up its loop, and for PyTorch."""
