"""Checks a policy before it may be active: by proof, over all inputs, with counter-examples."""
