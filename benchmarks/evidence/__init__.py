"""What the evidence of a rollout costs in requests, and how often it is wrong."""
