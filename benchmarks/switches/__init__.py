"""A thousand switches of the active version under load: who answered what, and how soon."""
