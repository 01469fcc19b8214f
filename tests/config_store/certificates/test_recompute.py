"""A certificate is recomputed from the ledger, and whoever changed either of them is told where."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from config_store.certificates.certificate import Certificate
from config_store.certificates.recompute import Refuted, Verified, follows, recompute
from models.evidence.verdict import Verdict
from tests.config_store.certificates.step import Step, with_rows


def refusal(certificate: Certificate, entries: Any) -> str:
    found = recompute(certificate, entries)
    assert isinstance(found, Refuted)
    return found.sentence


def edited(certificate: Certificate, edit: Callable[[dict[str, Any]], None]) -> Certificate:
    """Change a certificate and seal it anew, as a liar would who knows how."""
    form = certificate.model_dump(mode="json")
    edit(form)
    changed = Certificate.model_validate(form)
    return changed.model_copy(update={"hash": changed.content_hash()})


def test_what_was_judged_is_found_again(step: Step) -> None:
    kept = Certificate.model_validate_json(step.certificate.model_dump_json())
    found = recompute(kept, reversed(step.entries))
    assert isinstance(found, Verified), found
    assert found.entries == len(step.entries)
    assert kept.verdict is Verdict.GOOD, kept.reason
    assert kept.looks[-1].rows == 2400


def test_entries_that_were_stored_twice_do_no_harm(step: Step) -> None:
    assert isinstance(recompute(step.certificate, step.entries * 2), Verified)


@pytest.mark.parametrize("look", [0, 2])
def test_a_row_that_was_altered(step: Step, look: int) -> None:
    at = sum(map(len, step.looks[:look]))
    entries = step.entries
    victim = entries[at]
    faster = victim.rows[0].replace(b'"family":"tail-slo"', b'"family":"TAIL-SLO"')
    entries[at] = with_rows(victim, (faster, *victim.rows[1:]))
    header = victim.header
    assert refusal(step.certificate, entries) == (
        f"Look {look + 1} of 3: entry {header.seq} of {header.writer} was altered: its rows do "
        "not match their hashes."
    )


def test_an_entry_that_was_removed(step: Step) -> None:
    entries = step.entries
    header = entries.pop(4).header
    said = refusal(step.certificate, entries)
    assert said.startswith("Look 1 of 3: entry ")
    assert f"entry {header.seq} of {header.writer} is not in the archive" in said


def test_a_ledger_that_was_written_anew(step: Step) -> None:
    other = Step.judged(paired=not step.certificate.plan.design.paired)
    said = refusal(step.certificate, other.entries)
    assert "is not the one that was judged; the ledger was written anew" in said


def test_two_entries_of_one_number(step: Step) -> None:
    other = Step.judged(paired=not step.certificate.plan.design.paired)
    said = refusal(step.certificate, [*step.entries, other.entries[0]])
    assert said == "Look 1 of 3: two different entries are number 1 of gw-a."


def test_a_certificate_that_was_changed(step: Step) -> None:
    changed = step.certificate.model_copy(update={"verdict": Verdict.BAD})
    assert refusal(changed, step.entries).startswith("The certificate was changed")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("verdict", "bad", "The certificate says bad ("),
        ("looks.1.metrics.p99_ms.bad", 9.0, "Look 2 of 3, p99_ms: the evidence for bad is 0.0000"),
        ("looks.1.verdict", "bad", "Look 2 of 3: the tests say "),
        ("looks.0.rows", 7, "Look 1 of 3: the ledger has 300 rows"),
        ("looks.1.reason", "it looks well", "Look 2 of 3: the tests say "),
        ("reason", "it was the best", "The certificate says good (it was the best)"),
        ("looks.2.seen_by_both", 3, "Look 3 of 3: the tests say good"),
        ("looks.2.metrics.error_rate.values", [1.0, 2.0], "Look 3 of 3, error_rate: the ledger"),
        ("plan.margins.metrics.0.margin", 0.01, "p99_ms: "),
        ("plan.candidate", 6, "Look 1 of 3: the ledger has "),
        ("looks.1.spans.0.first", 5, "Look 2 of 3: entries 4 to 4 of gw-a are left out"),
        ("looks.1.spans.0.entry_hash", "00", "is not the one that was judged"),
    ],
)
def test_a_certificate_that_lies_and_is_sealed_anew(
    step: Step, path: str, value: Any, said: str
) -> None:
    def edit(form: Any) -> None:
        *way, last = path.split(".")
        for name in way:
            form = form[int(name) if name.isdecimal() else name]
        form[int(last) if last.isdecimal() else last] = value

    assert said in refusal(edited(step.certificate, edit), step.entries)


def test_a_metric_that_is_left_out(step: Step) -> None:
    def edit(form: Any) -> None:
        del form["looks"][0]["metrics"]["p99_ms"]

    said = refusal(edited(step.certificate, edit), step.entries)
    assert said == "Look 1 of 3, p99_ms: the certificate leaves this metric out."


def test_a_metric_that_was_made_up(step: Step) -> None:
    def edit(form: Any) -> None:
        for look in form["looks"]:
            look["metrics"]["happiness"] = look["metrics"]["p99_ms"]

    said = refusal(edited(step.certificate, edit), step.entries)
    assert said == "Look 1 of 3: the step was not judged by happiness."


def test_the_test_by_keys_is_made_again() -> None:
    step = Step.judged(paired=False)

    def edit(form: Any) -> None:
        form["looks"][2]["metrics"]["p99_ms"]["by_keys"][1] += 1.0

    said = refusal(edited(step.certificate, edit), step.entries)
    assert said == "Look 3 of 3, p99_ms: the test by keys comes to another result."


def test_certificates_follow_each_other() -> None:
    first = Step.judged(paired=False).certificate
    second = edited(first, lambda form: form.update(before=first.hash))
    third = edited(first, lambda form: form.update(before=second.hash))
    assert follows([first, second, third]) is None
    broken = follows([first, third])
    assert broken is not None
    assert broken.sentence.startswith("Certificate 2 (step 1) does not follow the one before it")
    assert follows([second, third]) is not None


def test_the_hash_is_of_the_content_however_it_is_written(step: Step) -> None:
    form = step.certificate.model_dump(mode="json")
    shuffled = dict(reversed(form.items()))
    again = Certificate.model_validate(json.loads(json.dumps(shuffled, indent=3)))
    assert again.content_hash() == step.certificate.hash
    assert orjson.dumps(form) == orjson.dumps(again.model_dump(mode="json"))
