"""`make dev`: the gateway and its stages in one process without Ray, started anew on a change."""
