"""Versions pin the models that their aliases name when they are drafted."""

from pathlib import Path

from config_store.shipped import default_document
from config_store.store import ConfigStore
from tests.deployments.gateway.config.versions import SLO, TAIL, crown, error
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.deployments.house import NOW
from tests.redis_server import RedisServer


async def test_an_alias_that_moves_moves_no_version(api: ConfigApi, tmp_path: Path) -> None:
    first = crown(tmp_path, "1.0.0")
    made = await api.patched(SLO)
    pin = {"version": "1.0.0", "digest": first, "alias": "champion"}
    assert made["release"]["models"] == made["document"]["models"] == {TAIL: pin}
    second = crown(tmp_path, "1.1.0")
    assert (await api.get("/config/versions/2"))["release"] == made["release"]
    # Nor does a patch of something else bring the new model along.
    other = await api.patched({"serving": {"tail": {"slo_ms": 91}}})
    assert other["release"]["models"] == {TAIL: pin}
    newer = await api.patched({"models": {TAIL: None}})
    assert newer["release"]["models"] == {TAIL: pin | {"version": "1.1.0", "digest": second}}
    assert newer["release"]["policy"] == made["release"]["policy"]
    assert newer["release"]["calibration"] != made["release"]["calibration"]
    back = await api.patched({"models": {TAIL: {"version": "1.0.0", "digest": None}}})
    assert back["document"] == other["document"]
    assert back["config_hash"] == other["config_hash"]


async def test_another_alias_pins_what_it_names(api: ConfigApi, tmp_path: Path) -> None:
    crown(tmp_path, "1.0.0")
    await api.patched(SLO)
    digest = crown(tmp_path, "2.0.0", "second")
    made = await api.patched({"serving": {"tail": {"alias": "second"}}})
    pin = {"version": "2.0.0", "digest": digest, "alias": "second"}
    assert made["document"]["models"] == {TAIL: pin}


async def test_a_whole_document_without_models_has_its_parents(
    api: ConfigApi, tmp_path: Path
) -> None:
    crown(tmp_path, "1.0.0")
    made = await api.patched(SLO)
    crown(tmp_path, "1.1.0")
    document = {name: each for name, each in made["document"].items() if name != "models"}
    drafted = await api.ask("POST", "/config/versions", {"document": document, "message": "m"})
    assert drafted.json()["config_hash"] == made["config_hash"]


async def test_a_pin_of_files_that_are_not_there_is_refused(api: ConfigApi, tmp_path: Path) -> None:
    crown(tmp_path, "1.0.0")
    await api.patched(SLO)
    patch = {"models": {TAIL: {"version": "7.0.0"}}}
    refused = error(await api.ask("PUT", "/config", patch), 422)
    assert refused["fields"].keys() == {f"models.{TAIL}"}
    (tmp_path / "tail.xgboost-quantile" / "1.0.0" / "weights").write_text("others")
    refused = error(await api.ask("PUT", "/config", {"quotas": {"default": {"streams": 5}}}), 422)
    assert "differ from those that the configuration pins" in refused["fields"][f"models.{TAIL}"]
    for bad in ("../1.0.0", "1.0", ""):
        patch = {"models": {TAIL: {"version": bad}}}
        error(await api.ask("PUT", "/config", patch), 422)
    assert (await api.get("/config"))["version"] == 2


async def test_a_version_of_an_earlier_release_pins_nothing(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    crown(tmp_path, "1.0.0")
    async with redis_server.patient_client() as redis:
        await ConfigStore(redis).bootstrap(default_document(), "ballast", "the first", NOW)
        async with config_api(redis, tmp_path) as api:
            old = await api.get("/config/versions/1")
            assert old["release"]["models"] is None
            assert old["config_hash"] == default_document().config_hash
            same = await api.patched({"quotas": {"default": {}}})
            assert (same["version"], same["changed"]) == (1, False)
            made = await api.patched(SLO)
            assert made["release"]["models"].keys() == {TAIL}
