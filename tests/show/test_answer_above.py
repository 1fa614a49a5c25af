"""The overview of a command that failed begins with why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from running import kfgraph as run

FAILING = Path(__file__).resolve().parents[2] / "examples" / "failing"
PATH = "retry_init → retry_reset → retry_wait_ready"


@pytest.fixture
def trace(tmp_path, monkeypatch) -> str:
    """The trace of an insmod that failed, in a folder of its own, with its companion."""
    for name in ("retry.dat", "retry.dat.kfgraph.json"):
        shutil.copy(FAILING / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return "retry.dat"


def first_lines(*words: str, width: int = 200) -> list[str]:
    """What is printed before the head of the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        code, out, _ = run(*words)
    assert code == 0
    lines = out.splitlines()
    return lines[: next(i for i, line in enumerate(lines) if line.split()[0] in ("total", "start", "trace"))]


def test_the_answer_the_way_and_what_to_type_stand_before_the_tree(trace) -> None:
    before = "(before it: -110, -110, -110, -110)"
    assert first_lines("show", trace) == [
        f'finit_module("retry.ko") = -ETIMEDOUT, first returned by retry_wait_ready [retry], its 5th call {before}',
        f"  {PATH}",
        "  kfgraph why retry.dat explains",
    ]


def test_info_begins_with_it_too(trace) -> None:
    said = first_lines("info", trace)
    assert said[0].startswith('why       finit_module("retry.ko") = -ETIMEDOUT, first returned by retry_wait_ready')
    assert said[1:] == [f"          {PATH}", "          kfgraph why retry.dat explains"]


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen_and_no_command_is_broken(width, trace) -> None:
    said = first_lines("show", trace, width=width)
    assert max(map(len, said)) <= width
    assert "  kfgraph why retry.dat explains" in said and f"  {PATH}" in said


@pytest.mark.parametrize("asked", [["--root", "retry_init"], ["--task", "insmod"], ["--merge"], ["--callers", "kfree"]])
def test_who_asks_for_a_part_gets_that(asked, trace) -> None:
    assert not any("first returned by" in line for line in first_lines("show", trace, *asked))


@pytest.mark.parametrize("companion", [None, 0])
def test_nothing_is_said_where_nobody_knows_that_it_failed(companion, trace) -> None:
    file = Path(f"{trace}.kfgraph.json")
    if companion is None:
        file.unlink()
    else:
        known = json.loads(file.read_text())
        assert known["exit_status"] == 1
        file.write_text(json.dumps({**known, "exit_status": companion, "modules": []}))
    assert first_lines("show", trace) == [] == first_lines("info", trace)
