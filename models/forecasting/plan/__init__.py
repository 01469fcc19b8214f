"""From a forecast to a plan: how many workers each hour needs, and how long the queue may grow."""
