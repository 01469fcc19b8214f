"""The example of a function on the page of features does what is said there."""

import json
import re

import numpy as np

from tests.deployments.definitions.conftest import World
from tests.surface.source import REPOSITORY

PAGE = (REPOSITORY / "docs/features.md").read_text()


def block(language: str, beginning: str) -> str:
    """Give the block of the page that begins so."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (text,) = [each for each in found if each.startswith(beginning)]
    return str(text)


async def test_the_example_is_published_as_it_is_written(world: World) -> None:
    definitions = json.loads(block("json", '{"features"'))["features"]["definitions"]
    (world.folder / "team").mkdir(mode=0o755)
    world.module(block("python", "# team/capacity.py"), "team/capacity.py")
    await world.define(definitions)
    await world.publish()
    found = await world.served("headroom", "load", "failures")
    expected = np.maximum(0.8 - found.values[:, 1], 0.0) * 4
    np.testing.assert_array_equal(found.values[:, 0], expected)
    assert np.isfinite(found.values).all()
    await world.service.step()
    assert (await world.decided()).health["headroom"].state == "ok"
