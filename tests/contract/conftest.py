"""What tests of whole outputs share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def at_a_terminal(repository: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Commands run in the repository, for a terminal without colours, whatever the tests run in."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("TERM", "xterm")
    for variable in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch
