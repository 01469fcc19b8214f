"""What policies cost: how well and how fast they are checked, and what judging by them takes."""
