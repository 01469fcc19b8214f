from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config_store.document import ConfigDocument, PinnedModel
from config_store.pinning import (
    CAPACITY_MODELS,
    aliases_of,
    answering,
    pin_faults,
    pinned,
    pinned_version,
    resolved,
)
from config_store.shipped import default_document
from models.digest import digest_of
from models.errors import UnknownModelError
from models.model_version import ModelVersion, folder_name
from models.pointer import keep_record, write_pointer

TAIL, ENSEMBLE = "tail/xgboost-quantile", "forecasting/ensemble"
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def crown(models: Path, version: str, name: str = TAIL, alias: str = "champion") -> ModelVersion:
    folder = models / folder_name(name) / version
    folder.mkdir(parents=True)
    (folder / "weights").write_text(f"{name} {version}")
    made = ModelVersion(
        name, version, folder, NOW, digest=digest_of(folder), tags={"telemetry": "demo"}
    )
    keep_record(models, made)
    write_pointer(models, alias, made)
    return made


def with_alias(document: ConfigDocument, alias: str) -> ConfigDocument:
    tail = document.serving.tail.model_copy(update={"alias": alias})
    serving = document.serving.model_copy(update={"tail": tail})
    return document.model_copy(update={"serving": serving})


def test_a_document_names_the_tail_model_and_all_that_plans_are_made_with() -> None:
    named = aliases_of(with_alias(default_document(), "second"))
    assert named == {TAIL: "second", **dict.fromkeys(CAPACITY_MODELS, "champion")}
    assert ENSEMBLE in CAPACITY_MODELS


def test_what_is_trained_is_pinned_and_is_part_of_the_hash(tmp_path: Path) -> None:
    nothing = pinned(default_document(), tmp_path)
    assert nothing.models == {}
    first = crown(tmp_path, "1.0.0")
    document = pinned(nothing, tmp_path)
    assert document.models == {TAIL: PinnedModel(version="1.0.0", digest=first.digest)}
    assert len({each.config_hash for each in (default_document(), nothing, document)}) == 3


def test_what_is_pinned_stays_and_another_alias_is_read(tmp_path: Path) -> None:
    crown(tmp_path, "1.0.0")
    document = pinned(default_document(), tmp_path)
    crown(tmp_path, "1.1.0")
    other = crown(tmp_path, "2.0.0", alias="second")
    crown(tmp_path, "1.0.0", ENSEMBLE)
    again = pinned(document, tmp_path)
    assert again.models is not None
    assert again.models == resolved(again, tmp_path) | (document.models or {})
    assert again.models[TAIL].version == "1.0.0"
    changed = pinned(with_alias(again, "second"), tmp_path)
    assert changed.models is not None
    assert changed.models[TAIL] == PinnedModel(alias="second", version="2.0.0", digest=other.digest)
    assert changed.models[ENSEMBLE] == again.models[ENSEMBLE]
    assert TAIL not in (pinned(with_alias(again, "third"), tmp_path).models or {})


def test_a_pin_without_a_digest_gets_it(tmp_path: Path) -> None:
    made = crown(tmp_path, "1.0.0")
    crown(tmp_path, "1.1.0")
    asked = default_document().model_copy(update={"models": {TAIL: PinnedModel(version="1.0.0")}})
    assert pinned(asked, tmp_path).models == {
        TAIL: PinnedModel(version="1.0.0", digest=made.digest)
    }


def test_what_is_pinned_is_found_when_its_alias_has_moved(tmp_path: Path) -> None:
    made = crown(tmp_path, "1.0.0")
    document = pinned(default_document(), tmp_path)
    crown(tmp_path, "1.1.0")
    assert document.models is not None
    assert pinned_version(tmp_path, TAIL, document.models[TAIL]) == made
    assert answering(document, tmp_path, TAIL) == made
    followed = answering(default_document(), tmp_path, TAIL)
    assert followed is not None
    assert followed.version == "1.1.0"
    assert answering(document, tmp_path, ENSEMBLE) is None


@pytest.mark.parametrize("trouble", ["changed", "gone", "unknown"])
def test_files_that_are_not_what_was_pinned_are_named(tmp_path: Path, trouble: str) -> None:
    made = crown(tmp_path, "1.0.0")
    pin = PinnedModel(version="1.0.0", digest=made.digest)
    assert pin_faults({TAIL: pin}, tmp_path) == {}
    match trouble:
        case "changed":
            (made.path / "weights").write_text("others")
        case "gone":
            made.path.rename(tmp_path / "elsewhere")
        case _:
            pin = pin.model_copy(update={"version": "3.0.0"})
    with pytest.raises(UnknownModelError, match="pin another version"):
        pinned_version(tmp_path, TAIL, pin)
    assert pin_faults({TAIL: pin}, tmp_path).keys() == {f"models.{TAIL}"}


def test_a_version_of_release_0_1_0_has_no_digest_and_is_pinned_by_its_number(
    tmp_path: Path,
) -> None:
    made = replace(crown(tmp_path, "1.0.0"), digest="")
    (tmp_path / folder_name(TAIL) / "1.0.0.json").unlink()
    write_pointer(tmp_path, "champion", made)
    document = pinned(default_document(), tmp_path)
    assert document.models == {TAIL: PinnedModel(version="1.0.0", digest="")}
    assert pinned_version(tmp_path, TAIL, document.models[TAIL]) == made
    crown(tmp_path, "1.1.0")  # nothing names the first one any more, but its record
    assert pinned_version(tmp_path, TAIL, document.models[TAIL]) == made
