"""What a fresh machine trains once it answers: in a process of its own, at low priority."""
