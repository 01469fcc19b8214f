"""A certificate is fetched from the platform, and verified without it; whoever lied is told where.

From the gateway's app and a real Redis to a file, and from the file and a real archive to the exit
code.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from config_store.certificates.certificate import Certificate
from config_store.certificates.store import CertificateStore
from launch.cli import app
from tests.config_store.certificates.step import Step
from tests.deployments.gateway.config_api import ConfigApi
from tests.launch.config.commanding import invoke, said
from tests.launch.test_verify_command import store

ROLLOUT = "01JDROLLOUT"


@pytest.fixture
async def step(api: ConfigApi) -> Step:
    """Keep the certificates of two steps; gives the first of them, with its ledger."""
    first = Step.judged(paired=False)
    second = Step.judged(paired=False, before=first.certificate.hash)
    kept = CertificateStore(api.redis)
    await kept.keep(first.certificate)
    await kept.keep(second.certificate, [first.certificate.hash])
    return first


@pytest.fixture
async def file(api: ConfigApi, step: Step, tmp_path: Path) -> Path:
    """Fetch both of them."""
    file = tmp_path / "certificate.json"
    found = await invoke(api, "certificate", ROLLOUT, "--to", str(file))
    assert found.exit_code == 0, found.output
    assert step.certificate.hash in said(found)
    return file


def verify(file: Path, archive: Path) -> Result:
    return CliRunner().invoke(app, ["verify", str(file), "--archive", str(archive)])


def test_it_is_verified_without_the_platform(step: Step, file: Path, tmp_path: Path) -> None:
    store(tmp_path / "archive", step)
    found = verify(file, tmp_path / "archive")
    assert found.exit_code == 0, found.output
    assert found.stdout.count("is verified: good") == 2


async def test_it_is_verified_when_redis_has_let_it_go(
    api: ConfigApi, step: Step, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config_store.certificates.store.MOST_ROLLOUTS", 0)
    await CertificateStore(api.redis).let_go([])
    gone = await invoke(api, "certificate", ROLLOUT, "--to", str(tmp_path / "again.json"))
    assert (gone.exit_code, "look for the file that was fetched" in said(gone)) == (1, True)
    store(tmp_path / "archive", step)
    found = await asyncio.to_thread(verify, file, tmp_path / "archive")
    assert found.exit_code == 0, found.output
    assert found.stdout.count("is verified: good") == 2


def _verdict(certificate: dict[str, Any]) -> None:
    certificate["verdict"] = "bad"


def _reason(certificate: dict[str, Any]) -> None:
    certificate["looks"][1]["reason"] = "it was the best"


def _margin(certificate: dict[str, Any]) -> None:
    certificate["plan"]["margins"]["metrics"][0]["margin"] = 0.01


@pytest.mark.parametrize("edit", [_verdict, _reason, _margin])
@pytest.mark.parametrize("sealed_anew", [False, True])
def test_a_file_that_was_tampered_with(
    step: Step,
    file: Path,
    tmp_path: Path,
    edit: Callable[[dict[str, Any]], None],
    sealed_anew: bool,
) -> None:
    store(tmp_path / "archive", step)
    (form, _) = orjson.loads(file.read_bytes())
    edit(form)
    if sealed_anew:
        changed = Certificate.model_validate(form)
        form["hash"] = changed.content_hash()
    file.write_bytes(orjson.dumps(form))
    found = verify(file, tmp_path / "archive")
    assert (found.exit_code, "REFUTED" in found.stdout) == (4, True), found.output
    assert ("was changed after it was written" in said(found)) is not sealed_anew


@pytest.mark.parametrize(
    ("forgery", "sentence"),
    [
        (
            "decisions UPDATE row = replaceOne(row, 'slo', 'SLO') WHERE leaf = 7 AND",
            "was altered",
        ),
        ("decisions DELETE WHERE leaf = 7 AND", "was altered"),
        ("decisions DELETE WHERE", "was altered"),
        ("ledger_entries DELETE WHERE", "is not in the archive"),
    ],
)
def test_a_ledger_that_was_tampered_with(
    step: Step, file: Path, tmp_path: Path, forgery: str, sentence: str
) -> None:
    where = "seq = 12 AND writer = 'gw-b'"
    store(tmp_path / "archive", step, f"ALTER TABLE {forgery} {where}")
    found = verify(file, tmp_path / "archive")
    assert found.exit_code == 4, found.output
    assert f"entry 12 of gw-b {sentence}" in said(found)


async def test_one_step_is_fetched_by_its_number(
    api: ConfigApi, step: Step, tmp_path: Path
) -> None:
    file = tmp_path / "one.json"
    found = await invoke(api, "certificate", ROLLOUT, "--step", "1", "--to", str(file))
    assert f"`ballast verify {file}` recomputes it" in said(found)
    fetched = Certificate.model_validate_json(file.read_bytes())
    assert fetched.before == step.certificate.hash  # of the two the last one
    missing = await invoke(api, "certificate", ROLLOUT, "--step", "7", "--to", str(file))
    assert missing.exit_code == 1
    assert "There is no certificate of step 7 of the rollout" in said(missing)


@pytest.mark.usefixtures("step")
async def test_what_cannot_be_fetched_is_said_in_a_sentence(api: ConfigApi, tmp_path: Path) -> None:
    assert "No rollout was begun yet" in said(await invoke(api, "certificate"))
    unknown = await invoke(api, "certificate", "r2")
    assert (unknown.exit_code, "No certificate of a rollout 'r2' is kept" in said(unknown)) == (
        1,
        True,
    )
    unwritable = await invoke(api, "certificate", ROLLOUT, "--to", str(tmp_path / "no" / "file"))
    assert (unwritable.exit_code, "cannot be written" in said(unwritable)) == (1, True)


async def test_more_than_a_page_is_fetched(api: ConfigApi, tmp_path: Path) -> None:
    kept, hashes = CertificateStore(api.redis), list[str]()
    certificate = Step.judged(paired=True).certificate
    for _ in range(7):
        before = hashes[-1] if hashes else ""
        following = Certificate.seal(certificate.plan, before, certificate.looks)
        await kept.keep(following, hashes)
        hashes.append(following.hash)
    file = tmp_path / "all.json"
    found = await invoke(api, "certificate", ROLLOUT, "--to", str(file))
    assert found.exit_code == 0, found.output
    assert [each["hash"] for each in orjson.loads(file.read_bytes())] == hashes
