"""`ballast verify` reads a certificate and an archive, and needs no platform that runs."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from config_store.certificates.certificate import FIRST, Certificate
from config_store.certificates.examination import Examination
from launch.cli import app
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.clickhouse.home import MARK
from observability.ledger.archive import Archive
from observability.schema import create_tables
from settings.environment import Settings
from tests.config_store.certificates.step import NOW, Rows, Step, chain, plan_of


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, ["verify", *words])


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give the settings of a fresh home, with no platform and no Redis."""
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return tmp_path / "certificate.json"


def store(folder: Path, step: Step, forge: str = "") -> None:
    with EmbeddedClickhouse(folder) as engine:
        create_tables(engine)
        Archive(engine).add(step.entries)
        if forge:
            engine.execute(f"{forge} SETTINGS mutations_sync = 1")
    (folder / MARK).write_text("an archive of a test")


def test_a_certificate_is_verified_and_one_that_lies_is_not(
    settings: Settings, certificate: Path
) -> None:
    step = Step.judged(paired=False)
    store(settings.paths.history, step)
    certificate.write_text(step.certificate.model_dump_json())
    found = invoke(str(certificate))
    assert found.exit_code == 0, found.output
    assert "step 1 of the rollout 01JDROLLOUT is verified: good" in found.stdout
    assert step.certificate.hash in found.stdout

    lie = step.certificate.model_copy(update={"reason": "it was the best"})
    certificate.write_text(lie.model_dump_json())
    found = invoke(str(certificate), "--archive", str(settings.paths.history))
    assert (found.exit_code, "REFUTED. The certificate was changed" in found.stdout) == (4, True)


def test_a_ledger_that_was_tampered_with(certificate: Path, tmp_path: Path) -> None:
    step, folder = Step.judged(paired=True), tmp_path / "copy"
    forgery = "ALTER TABLE decisions UPDATE row = replaceOne(row, 'tail', 'TAIL') WHERE seq = 12"
    store(folder, step, f"{forgery} AND leaf = 7 AND writer = 'gw-b'")
    certificate.write_text(step.certificate.model_dump_json())
    found = invoke(str(certificate), "--archive", str(folder))
    assert found.exit_code == 4, found.output
    assert "Look 3 of 3: entry 12 of gw-b was altered" in " ".join(found.stdout.split())


def test_a_whole_rollout(settings: Settings, certificate: Path) -> None:
    first = Step.judged(paired=False)
    second = Step.judged(paired=False, before=first.certificate.hash)
    store(settings.paths.history, first)
    both = [first.certificate, second.certificate]
    for order, code in ((both, 0), (both[::-1], 4)):
        certificate.write_bytes(orjson.dumps([each.model_dump(mode="json") for each in order]))
        found = invoke(str(certificate))
        assert found.exit_code == code, found.output
    assert "does not follow the one before it" in found.stdout


def test_what_cannot_be_verified_is_said_in_a_sentence(certificate: Path, tmp_path: Path) -> None:
    found = invoke(str(certificate))
    assert (found.exit_code, "cannot be read: No such file" in found.output) == (1, True)
    certificate.write_text("{")
    assert "is not JSON" in (invoke(str(certificate))).output
    certificate.write_text("{}")
    assert "is not a certificate: plan: Field required" in (invoke(str(certificate))).output
    sealed: Certificate = Step.judged(paired=False).certificate
    certificate.write_text(sealed.model_dump_json())
    found = invoke(str(certificate), "--archive", str(tmp_path))
    assert (found.exit_code, "is no archive of decisions" in found.output) == (1, True)
    assert not list(tmp_path.glob("store*"))  # nothing was begun there


def test_a_gateway_that_the_certificate_leaves_out(settings: Settings, certificate: Path) -> None:
    good, bad = (
        chain(name, Rows(seed).canary(2400, **worse))
        for name, seed, worse in (("gw-a", 1, {}), ("gw-b", 2, {"allowed": False}))
    )
    examination = Examination(plan_of(paired=False))
    examination.look(NOW + 60, good)
    certificate.write_text(examination.certificate(FIRST).model_dump_json())
    for more, code, said in (([], 0, "is verified: good"), (bad, 4, "48 entries of gw-b were")):
        with EmbeddedClickhouse(settings.paths.history) as engine:
            create_tables(engine)
            Archive(engine).add([*good, *more])
        (settings.paths.history / MARK).write_text("an archive of a test")
        found = invoke(str(certificate))
        assert (found.exit_code, said in " ".join(found.stdout.split())) == (code, True)
