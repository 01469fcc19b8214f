"""Large requests, whose work leaves the loop to short ones."""
