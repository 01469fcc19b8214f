"""`ballast safety` steers in the name of whose key it is given, over a real Redis."""

from functools import partial
from pathlib import Path

from settings.environment import Settings
from tests.deployments.gateway.config_api import config_api
from tests.launch.config import commanding
from tests.redis_server import RedisServer

invoke = partial(commanding.invoke, group="safety")


async def test_an_emergency_is_told_of_by_the_key_that_began_it(
    redis_server: RedisServer, settings: Settings, tmp_path: Path
) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    key = tmp_path / "olga.key"
    key.write_text("olga:operator\n")
    hers = ("--reason", "a drill", "--key-file", str(key))
    async with redis_server.patient_client() as redis, config_api(redis, tmp_path) as api:
        begun = await invoke(api, "emergency", "on", *hers)
        assert begun.exit_code == 0, begun.output
        assert ", by olga: a drill" in begun.output
        refused = await invoke(api, "emergency", "off", *hers)
        assert refused.exit_code == 1
        assert "needs the role admin" in " ".join(refused.output.split())
        ended = await invoke(api, "emergency", "off", "--reason", "it is over")
        assert ended.output == "emergency mode  off\n"
