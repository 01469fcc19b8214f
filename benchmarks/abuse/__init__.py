"""What one client can do to all others: figures before and after a bound was set."""
