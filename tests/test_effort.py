"""`make test` stays short because tests that try again and again try less often there."""

import importlib

import pytest

from tests import effort


def test_make_long_asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONG", raising=False)
    assert importlib.reload(effort).tries(5, long=10) == 5
    monkeypatch.setenv("LONG", "1")
    assert importlib.reload(effort).tries(5, long=10) == 10
    monkeypatch.undo()
    importlib.reload(effort)
