"""docs/show.md and docs/truth.md against the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kfgraph.cli.app import main
from kfgraph.model.calls import Flag
from kfgraph.render.rowmodel import FLAG_MARKS


def test_the_screens_of_the_page_are_what_show_prints(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.delenv("COLUMNS", raising=False)
    page = (repository / "docs" / "show.md").read_text(encoding="utf-8")
    screens = re.findall(r"^    \$ kfgraph (.*)\n((?:    .*\n)+)", page, re.MULTILINE)
    assert screens
    for command, text in screens:
        assert main(shlex.split(command)) == 0
        printed = iter(capsys.readouterr().out.splitlines())
        for line in text.splitlines():
            if line.strip() != "...":
                assert line[4:] in printed, line


def test_every_flag_is_explained_with_its_mark(repository: Path) -> None:
    page = (repository / "docs" / "truth.md").read_text(encoding="utf-8")
    assert {flag.name for flag in Flag if f"`{flag.name}`" not in page} == set()
    for flag, mark, _ in FLAG_MARKS:
        assert f"| `{flag.name}` | `{mark}` |" in page


def test_every_option_of_the_page_exists(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (repository / "docs" / "show.md").read_text(encoding="utf-8")
    assert main(["show", "--help"]) == 0
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= options
