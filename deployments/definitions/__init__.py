"""Which definitions of users' features are in force: the configured ones, or the last good ones."""
