"""Jobs: work that takes longer than a request, which somebody asked for."""
