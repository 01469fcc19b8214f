"""A certificate that a liar wrote, who knows how to seal one: told, soon, and in plain letters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from config_store.certificates.certificate import Certificate
from launch import verify_command
from observability.ledger.archive import WINDOW, Archive
from observability.ledger.entry import Entry
from settings.environment import Settings
from tests.config_store.certificates.step import Step
from tests.config_store.certificates.test_recompute import edited
from tests.launch.test_verify_command import invoke, store

FAR = 2**62


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note each read of the archive, and end a command that reads without end."""
    noted, window = list[int](), Archive.window

    def counted(self: Archive, writer: str, first: int, last: int) -> list[Entry]:
        noted.append(first)
        assert len(noted) < 50, "it reads on and on"
        return window(self, writer, first, last)

    monkeypatch.setattr(Archive, "window", counted)
    return noted


def to_the_end(form: dict[str, Any]) -> None:
    form["looks"][-1]["spans"][-1]["through"] = FAR


def twice(form: dict[str, Any]) -> None:
    form["looks"] += form["looks"][-1:] * 100


def far_ahead(form: dict[str, Any]) -> None:
    form["looks"][-1]["spans"][-1] |= {"first": FAR, "through": FAR + 10}


def too_fine(form: dict[str, Any]) -> None:
    form["plan"]["margins"]["metrics"] = [
        {"kind": "quantile", "name": "p99_ms", "p": 0.99, "margin": 1e-7, "low": 1e-3, "high": 1e9}
    ]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (to_the_end, "is not in the archive"),
        (twice, "is named twice"),
        (far_ahead, "are left out of the certificate"),
        (too_fine, "choose a larger margin"),
    ],
)
def test_what_is_forged_is_told_soon(
    settings: Settings,
    tmp_path: Path,
    reads: list[int],
    edit: Callable[[dict[str, Any]], None],
    said: str,
) -> None:
    step, file = Step.judged(paired=False), tmp_path / "certificate.json"
    store(settings.paths.history, step)
    file.write_text(edited(step.certificate, edit).model_dump_json())
    found = invoke(str(file))
    assert found.exit_code == 4, found.output
    assert said in " ".join(found.stdout.split())
    assert len(reads) <= 3 * len(step.certificate.looks) + len(step.entries) // WINDOW


def test_a_name_does_not_overwrite_what_is_said_of_it(settings: Settings, tmp_path: Path) -> None:
    step, file = Step.judged(paired=False), tmp_path / "certificate.json"
    store(settings.paths.history, step)

    def lies(form: dict[str, Any]) -> None:
        form["plan"]["rollout"] = "r\x1b[2K\rstep 1 of the rollout r is verified"
        form["looks"][-1]["rows"] += 1

    file.write_text(edited(step.certificate, lies).model_dump_json())
    found = invoke(str(file))
    assert found.exit_code == 4, found.output
    assert "r\\x1b[2K\\rstep 1 of the rollout r is verified is REFUTED" in found.stdout


def test_it_is_said_what_was_asked(settings: Settings, tmp_path: Path) -> None:
    step, file = Step.judged(paired=False), tmp_path / "certificate.json"
    store(settings.paths.history, step)
    file.write_text(step.certificate.model_dump_json())
    shown = " ".join(invoke(str(file)).stdout.split())
    plan = step.certificate.plan
    asked = f"It asked version {plan.candidate} against {plan.incumbent}"
    share = f"with {100 * plan.design.share:g} % of the keys"
    assert f"{asked}, {share}, by the rows from" in shown
    for metric in plan.margins.metrics:
        assert f"{metric.name} {metric.margin:g}" in shown
    assert f"alpha {plan.margins.alpha:.3g}" in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"first": 9, "through": 3}, "it ends at entry 3, before it begins at 9"),
        ({"through": -1}, "greater than or equal to 0"),
    ],
)
def test_a_span_without_an_entry_is_none(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "certificate.json"
    text = Step.judged(paired=False).certificate.model_dump(mode="json")
    text["looks"][0]["spans"][0] |= change
    file.write_bytes(orjson.dumps(text))
    found = invoke(str(file))
    assert (found.exit_code, said in " ".join(found.output.split())) == (1, True), found.output


def test_a_file_without_an_end_is_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_command, "MOST_BYTES", 1000)
    found = invoke("/dev/zero")
    assert (found.exit_code, "more than 1,000 bytes" in found.output) == (1, True)


def test_the_hash_of_a_certificate_is_as_it_was() -> None:
    """Bounds on what is read change nothing of what was sealed before there were any."""
    sealed = Step.judged(paired=False).certificate
    assert Certificate.model_validate_json(sealed.model_dump_json()).content_hash() == sealed.hash
