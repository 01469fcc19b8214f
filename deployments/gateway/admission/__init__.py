"""Who may ask, and how much: keys, roles, and the rates of each key."""
