"""Local methods: each series is forecast from its own past alone, fitted as it is asked for."""
