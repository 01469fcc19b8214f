"""How long a training set takes, and how much memory."""
