"""A name in Redis that is written out lacks the prefix of a platform that has its own."""

import ast

from settings.redis_prefix import DEFAULT_PREFIX
from tests.surface.source import product, strings


def written_out(trees: list[ast.Module]) -> list[str]:
    return [each for each in strings(trees) if each.startswith(DEFAULT_PREFIX)]


def test_no_name_in_redis_is_written_out() -> None:
    assert written_out(product(but=["settings/redis_prefix.py"])) == []


def test_a_name_that_is_written_out_is_found() -> None:
    tree = ast.parse("await redis.get(f'ballast:{kind}:index')\nprint('ballast up')")
    assert written_out([tree]) == ["ballast:"]
