"""Features that users compute by functions of their own, in a process beside the platform's."""
