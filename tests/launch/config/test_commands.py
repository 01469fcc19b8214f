"""`ballast config` against the gateway's own app over HTTP, and a real Redis."""

import re
import shlex
import tempfile
from pathlib import Path

import pytest

from access.keys import Role
from config_store.steering.commands import Actor, Deploy, Validate, Validated
from config_store.steering.state import Strategy
from config_store.steering.stored import StateCopy
from launch.config import checking, requests
from launch.config.following import Followed
from tests.deployments.gateway.config_api import ConfigApi
from tests.launch.config.commanding import ADMIN, invoke, said
from tests.surface.source import REPOSITORY


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"sed -i 's/{old}/{new}/'")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def kept(folder: Path) -> tuple[str, str]:
    """Give the file that an edit left behind."""
    (file,) = folder.glob("ballast-config-*.yaml")
    return file.name, file.read_text()


async def test_a_version_is_edited_checked_approved_deployed_and_taken_back(
    api: ConfigApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await invoke(api, "approvals", "1")).exit_code == 0
    editor(tmp_path, monkeypatch, "slo_ms: .*", "slo_ms: 90.0")
    edited = await invoke(api, "edit", "serving.tail", "-m", "tighter", "--yes")
    assert edited.exit_code == 0, edited.output
    assert "~ slo_ms: 250.0 -> 90.0" in edited.output
    assert "Version 2 is drafted on top of 1." in edited.output
    checked = await invoke(api, "validate", "2")
    assert "Version 2 is good. It has 0 of 1 approvals" in said(checked)
    assert "approves it, `ballast config approve 2`." in said(checked)
    early = await invoke(api, "deploy", "2")
    assert early.exit_code == 1
    key = tmp_path / "alba.key"
    key.write_text("alba:approver\n")
    approved = await invoke(api, "approve", "2", "--yes", "--key-file", str(key))
    assert approved.exit_code == 0, approved.output
    assert "~ serving.tail.slo_ms: 250.0 -> 90.0" in approved.output
    assert "Version 2 is approved. Deploy it: `ballast config deploy 2`." in said(approved)
    life = (await api.get("/config/versions/2"))["life"]
    assert life["next"] == "Deploy it: POST /config/deploy with version 2"
    nothing = await invoke(api, "abort")
    assert "go back: `ballast config rollback`" in said(nothing)
    deployed = await invoke(api, "deploy", "2", "--reason", "the tail")
    assert "Version 2 is in force." in deployed.output
    assert "Every replica goes by version 2." in deployed.output
    await api.follows(2)
    listed = (await invoke(api, "history")).output
    assert "active" in listed.splitlines()[0]
    assert "adam, approved by alba: tighter" in listed
    assert "~ serving.tail.slo_ms: 90.0 -> 250.0" in (await invoke(api, "diff", "2", "1")).output
    assert "say the same" in (await invoke(api, "diff", "2")).output
    late = await invoke(api, "rollback", "--after", "1")
    assert late.exit_code == 1
    assert "Version 2 is active by now, and not 1" in said(late)
    back = await invoke(api, "rollback", "--reason", "too tight")
    assert "Version 1 is in force." in back.output


async def test_what_was_found_in_a_policy_is_shown_and_approved_by_name(api: ConfigApi) -> None:
    looser = {"safety": {"families": {"bandit": {"responses": {"unsafe": "keep"}}}}}
    await api.ask("POST", "/config/versions", {"patch": looser, "message": "m"})
    checked = await invoke(api, "validate", "2")
    assert checked.exit_code == 0, checked.output
    names = (await api.get("/config/versions/2"))["life"]["findings"]
    assert names
    assert all(name.startswith("lets_through bandit ") for name in names)
    assert all(f"  {name}\n" in checked.output for name in names)
    silent = await invoke(api, "approve", "2", "--yes")
    assert silent.exit_code == 1
    assert "would leave as the model gave it" in said(silent)  # with an example, before it is asked
    assert names[0] in said(silent)
    options = [word for name in names for word in ("--acknowledge", name)]
    approved = await invoke(api, "approve", "2", "--yes", *options)
    assert approved.exit_code == 0, approved.output
    assert "Version 2 is approved." in approved.output


async def test_whoever_waits_for_a_proof_is_told_what_for(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "REPEATED_EVERY_SECONDS", 0.001)
    looser = {"safety": {"families": {"bandit": {"responses": {"unsafe": "keep"}}}}}
    await api.ask("POST", "/config/versions", {"patch": looser, "message": "m"})
    checked = await invoke(api, "validate", "2")
    assert re.search(r"  Checking version 2 \(a proof has .*\):  \d+ s so far", checked.output)
    shown = await invoke(api, "approve", "2", "--yes")
    assert re.search(r"  Looking for examples of .*:  \d+ s so far", shown.output)


async def test_an_edit_that_is_refused_keeps_what_was_written(
    api: ConfigApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "slo_ms: .*", "slo_ms: -1")
    refused = await invoke(api, "edit", "serving.tail", "-m", "m", "--yes")
    assert refused.exit_code == 1
    assert "serving.tail.slo_ms" in said(refused)
    name, text = kept(tmp_path)
    assert name in said(refused)
    assert "slo_ms: -1" in text
    editor(tmp_path, monkeypatch, "nothing", "else")
    assert "Nothing was changed" in (await invoke(api, "edit", "--json", "--yes")).output


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ((), "give --yes and --message (what the change is for), or run it"),
        (("--yes",), "give --message (what the change is for), or run it"),
        (("-m", "tighter"), "give --yes, or run it"),
    ],
)
async def test_an_edit_that_can_ask_nobody_names_all_that_is_missing(
    api: ConfigApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, ...],
    missing: str,
) -> None:
    editor(tmp_path, monkeypatch, "slo_ms: .*", "slo_ms: 90.0")
    refused = await invoke(api, "edit", "serving.tail", *given)
    assert refused.exit_code == 1
    assert "~ slo_ms: 250.0 -> 90.0" in refused.output  # what would be drafted is shown first
    assert f"Nothing was drafted: {missing} where it can ask you." in said(refused)
    name, text = kept(tmp_path)
    assert (name in said(refused), "slo_ms: 90.0" in text) == (True, True)
    assert len(await api.get("/config/versions")) == 1


async def test_a_canary_is_followed_as_text(api: ConfigApi) -> None:
    await api.ask(
        "PUT", "/config/settings", {"rollout": {"evidence": False, "lead_seconds": 0}}, ADMIN
    )
    drafted = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await api.ask("POST", "/config/versions", drafted)
    await invoke(api, "validate", "2")
    begun = await invoke(api, "deploy", "2", "--strategy", "canary", "--shares", "0.1,1")
    assert "steps     [10 %] > 100 %" in begun.output
    watched = await invoke(api, "watch", "--once")
    assert watched.output.splitlines()[:2] == begun.output.splitlines()[:2]
    assert "10 % done > [100 %]" in (await invoke(api, "advance")).output
    aborted = await invoke(api, "abort", "--reason", "p99")
    assert "was aborted at step 2 (p99)." in aborted.output
    for words in (("watch",), ("watch", "--once")):
        watched = await invoke(api, *words)
        assert "was aborted at step 2 (p99)." in watched.output
        assert watched.exit_code == 4, watched.output


async def test_a_script_can_tell_how_the_rollout_that_it_watched_ended(api: ConfigApi) -> None:
    nothing = await invoke(api, "watch")
    assert ("none was begun" in nothing.output, nothing.exit_code) == (True, 0)
    drafted = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await api.ask("POST", "/config/versions", drafted)
    await invoke(api, "validate", "2")
    assert (await invoke(api, "deploy", "2")).exit_code == 0
    assert (await invoke(api, "watch")).exit_code == 0


def test_of_two_rollouts_the_first_one_that_was_seen_counts() -> None:
    first, second = ({"id": name} for name in "ab")
    aborted, finished = first | {"outcome": "aborted"}, second | {"outcome": "finished"}
    followed = Followed()
    for rollout, last in ((first, None), (second, aborted), (None, finished)):
        followed.note({"rollout": rollout, "last": last})
    assert followed.aborted


async def test_a_draft_that_was_overtaken_is_drafted_anew(api: ConfigApi) -> None:
    drafted = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await api.ask("POST", "/config/versions", drafted)
    await invoke(api, "validate", "2")
    await api.patched({"quotas": {"default": {"streams": 7}}}, ADMIN)
    refused = await invoke(api, "deploy", "2")
    assert refused.exit_code == 1
    assert "`ballast config rebase 2` drafts it anew on top of that" in said(refused)
    made = await invoke(api, "rebase", "2")
    assert made.exit_code == 0, made.output
    assert made.output.splitlines() == [
        "Version 4 is drafted on top of 3, and changes what version 2 does:",
        "~ serving.tail.slo_ms: 250.0 -> 90.0",
        "It is written by olga too: none of its authors approves it.",
        "`ballast config validate 4` checks it; approvals of version 2 do not count.",
    ]
    assert (await invoke(api, "validate", "4")).exit_code == 0
    assert "Version 4 is in force." in (await invoke(api, "deploy", "4")).output


async def test_who_wrote_some_of_a_version_is_shown_with_it(api: ConfigApi, tmp_path: Path) -> None:
    drafted = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await api.ask("POST", "/config/versions", drafted)  # by olga
    await api.patched({"quotas": {"default": {"streams": 7}}}, ADMIN)
    made = await invoke(api, "rebase", "2")
    assert made.exit_code == 0, made.output
    assert (await invoke(api, "validate", "4")).exit_code == 0
    assert "adam with olga: m (version 2 by olga" in (await invoke(api, "history")).output
    key = tmp_path / "alba.key"
    key.write_text("alba:approver\n")
    approved = await invoke(api, "approve", "4", "--yes", "--key-file", str(key))
    assert "Version 4 by adam with olga: m" in approved.output


async def test_drafts_that_nobody_needs_are_withdrawn(api: ConfigApi) -> None:
    await api.ask("PUT", "/config/settings", {"drafts_per_author": 2}, ADMIN)
    body = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    for _ in range(2):
        assert (await api.ask("POST", "/config/versions", body, ADMIN)).status_code == 201
    refused = await api.ask("POST", "/config/versions", body, ADMIN)
    assert "`ballast config withdraw 2 3`" in refused.json()["error"]["message"]
    gone = await invoke(api, "withdraw", "2", "3", "--reason", "an idea")
    assert gone.exit_code == 0, gone.output
    assert gone.output.splitlines() == ["Version 2 is withdrawn.", "Version 3 is withdrawn."]
    assert "withdrawn" in (await invoke(api, "history")).output.splitlines()[0]
    assert (await api.ask("POST", "/config/versions", body, ADMIN)).status_code == 201
    active = await invoke(api, "withdraw", "1")
    assert (active.exit_code, "only what was never deployed" in said(active)) == (1, True)


async def test_locks_freezes_time_and_drift(api: ConfigApi) -> None:
    assert "The lock is yours" in (await invoke(api, "lock", "--reason", "a policy")).output
    assert "Nobody has" in (await invoke(api, "unlock")).output
    frozen = await invoke(api, "freeze", "--reason", "close", "--until", "2126-01-01T00:00:00Z")
    name = frozen.output.split()[2]
    assert f"The freeze {name} is removed" in (await invoke(api, "unfreeze", name)).output
    drift = await invoke(api, "drift")
    assert (drift.exit_code, "same      0 of 0 replicas" in drift.output) == (0, True)
    await api.running.report("tail-a", "tail", 9, "x")
    drift = await invoke(api, "drift")
    assert drift.exit_code == 1
    assert "behind    tail-a goes by 9" in drift.output
    assert "nothing had to be" in (await invoke(api, "repair")).output


async def test_a_replica_that_does_not_follow_is_named(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "COMPLETE_LOOKS", 2)
    await api.patched({"serving": {"tail": {"slo_ms": 90}}}, ADMIN)
    await api.running.report("tail-a", "tail", 2, api.active().config_hash)
    back = await invoke(api, "rollback")
    assert "1 replicas do not go by version 1 yet: tail-a" in back.output


async def test_status_says_the_state_also_while_nothing_runs(api: ConfigApi) -> None:
    steering = api.context.changes.steering
    olga, now = Actor("olga", Role.OPERATOR), api.clock.now
    assert "settled" in (await invoke(api, "status")).output
    life = await steering.draft(api.active().document, "m", olga, now)
    both = [Validate(life.number), Validated(life.number, life.content_hash)]
    await steering.change(both, olga, now)
    await steering.change(Deploy(life.number, Strategy.CANARY, "mine", 1), olga, now)
    shown = await invoke(api, "status")
    assert shown.exit_code == 0, shown.output
    assert "state     rollout" in shown.output
    assert "rollout mine of version 2" in said(shown)


async def test_status_of_a_forged_state_says_what_to_do(api: ConfigApi) -> None:
    steering = api.context.changes.steering
    await steering.found(Actor("olga", Role.OPERATOR), api.clock.now)
    await api.redis.hset(steering.key, "digest", "another")
    shown = await invoke(api, "status")
    assert shown.exit_code == 1
    assert "changed by something else than steering" in said(shown)
    assert "Its copy, of revision 1, is whole: `ballast up` writes it again." in said(shown)
    await api.redis.delete(StateCopy(api.redis).key)
    lost = said(await invoke(api, "status"))
    assert "It has no copy that could be trusted. Begin with `ballast up`" in lost
    assert "`ballast config repair --rebuild`, with an admin's key" in lost


async def test_a_state_that_nobody_knows_is_made_anew_where_that_is_asked_for(
    api: ConfigApi,
) -> None:
    await api.patched({"serving": {"tail": {"slo_ms": 90}}}, ADMIN)
    key = api.context.changes.steering.key
    await api.redis.delete(StateCopy(api.redis).key)
    await api.redis.hset(key, "state", "{}")
    drift = said(await invoke(api, "drift"))
    refused = await invoke(api, "repair")
    for words in (drift, said(refused)):
        assert "`ballast config repair --rebuild`" in words
    assert refused.exit_code == 1
    operator = await api.ask("POST", "/config/repair", {"rebuild": True})
    assert operator.status_code == 403, operator.text
    done = await invoke(api, "repair", "--rebuild")
    assert done.exit_code == 0, done.output
    assert "Put right: the steering state." in done.output
    where = await api.get("/config/steering")
    assert (where["state"], where["active"], where["warm"]) == ("settled", 2, [1])
    assert (await api.patched({"quotas": {"default": {"streams": 7}}}))["deployed"]


async def test_the_runbook_shows_what_is_printed(
    api: ConfigApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "max_workers_step: .*", "max_workers_step: 10.0")
    page = (REPOSITORY / "docs/runbook.md").read_text()
    (session,) = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    for shown in session.split("$ ballast config ")[1:]:
        command, *lines = shown.splitlines()
        words = shlex.split(command)
        if words[0] == "edit":  # here nobody can be asked
            words.append("--yes")
            lines = [line for line in lines if not line.startswith("Draft this?")]
        found = await invoke(api, *words)
        assert without_ids(found.output) == without_ids("\n".join(lines) + "\n")


def without_ids(text: str) -> str:
    return re.sub(r"[0-9a-f]{12}-[0-9a-f]{8}", "ID", text)
