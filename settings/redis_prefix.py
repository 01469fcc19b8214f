"""What the names in Redis begin with. Apart from redis_names.py, so that settings load quickly."""

DEFAULT_PREFIX = "ballast:"
# One word: were `a:` and `a:b:` both allowed, the second platform would lie within the first.
PREFIX_PATTERN = r"^[A-Za-z0-9_-]{1,64}:$"
