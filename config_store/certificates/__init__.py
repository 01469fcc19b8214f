"""What each step of a rollout leaves behind, so that anybody can recompute its verdict."""
