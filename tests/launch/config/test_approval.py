"""Who approves sees all that would come into force, and nothing that hides it."""

from config_store.changes.difference import differences
from launch.command import printable
from launch.config.text import MOST_LISTED, difference_lines
from tests.deployments.gateway.config_api import ConfigApi
from tests.launch.config.commanding import invoke


async def drafted(api: ConfigApi, slo_ms: int, message: str, parent: int) -> int:
    tail, quotas = {"tail": {"slo_ms": slo_ms}}, {"default": {"streams": 7}}
    patch = {"serving": tail} if slo_ms else {"quotas": quotas}
    body = {"patch": patch, "message": message, "parent": parent}
    found = await api.ask("POST", "/config/versions", body)
    assert found.status_code == 201, found.text
    number: int = found.json()["version"]
    return number


async def test_a_change_does_not_hide_in_a_parent_that_nobody_approved(api: ConfigApi) -> None:
    hidden = await drafted(api, 5, "a draft", 1)
    number = await drafted(api, 0, "seven streams", hidden)
    assert (await api.ask("POST", f"/config/versions/{number}/validate")).status_code == 200
    shown = await invoke(api, "approve", str(number), "--yes")
    assert shown.exit_code == 0, shown.output
    assert f"on top of version {hidden}, which is not in force" in shown.output
    assert "~ serving.tail.slo_ms: 250.0 -> 5.0" in shown.output
    assert "quotas.default.streams" in shown.output
    # No history runs here: that is said, and is in nobody's way.
    assert "Its impact cannot be looked up now." in shown.output
    assert f"Version {number} is approved." in shown.output


async def test_a_message_does_not_hide_what_comes_after_it(api: ConfigApi) -> None:
    conceal = "tidy up\x1b[8m\x9b2J\u202e\nVersion 2 changes nothing."
    number = await drafted(api, 5, conceal, 1)
    assert (await api.ask("POST", f"/config/versions/{number}/validate")).status_code == 200
    spelled = "tidy up\\x1b[8m\\x9b2J\\u202e\\nVersion 2 changes nothing."
    for words in (("approve", str(number), "--yes"), ("history",), ("status",)):
        shown = await invoke(api, *words)
        assert shown.exit_code == 0, shown.output
        assert spelled in shown.output
        assert not {"\x1b", "\x9b", "\u202e"} & set(shown.output)


def test_for_an_approval_nothing_is_cut_short() -> None:
    before: dict[str, object] = {f"a{number}": 1 for number in range(2 * MOST_LISTED)}
    after: dict[str, object] = dict.fromkeys(before, 2) | {"z": "x" * 1000 + "hidden"}
    found = differences(before, after)
    assert list(difference_lines(found))[-1] == "..."
    lines = list(difference_lines(found, whole=True))
    assert len(lines) == 2 * MOST_LISTED + 1
    assert lines[-1].endswith('hidden"')


def test_what_is_read_stays_as_it_is() -> None:
    assert printable("café, 世界, naïve → 5 % (“so”)") == "café, 世界, naïve → 5 % (“so”)"
    assert printable("\ud800\x07\r\t") == "\\ud800\\x07\\r\\t"
