"""What learns from each outcome as it comes in, with a state that survives a restart to the bit."""
