"""What judging answers costs, and how well and how fast policies are checked."""
