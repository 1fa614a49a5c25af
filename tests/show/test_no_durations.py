"""Texts without durations (funcgraph-duration off): the screens say so, and not that calls did not end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parent.parent / "fixtures" / "cases"
HEAD = "# tracer: function_graph\n#\n# CPU  FUNCTION CALLS\n# |    |   |   |   |\n"


def _kfgraph(*args: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kfgraph", *map(str, args)]
    env = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=env)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("info", ", durations of 4 not printed\n"),
        ("show", "\n? its duration was not printed\n"),
        ("top", "\n4 calls without a printed duration: counted, their time is unknown\n"),
    ],
)
def test_durations_that_were_not_printed_are_no_missing_exits(command: str, said: str) -> None:
    shown = _kfgraph(command, CASES / "nodur.txt").stdout
    assert said in shown
    for wrong in ("unfinished", "not finished", "never ended", "exit was not recorded"):
        assert wrong not in shown


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("info", ", durations of 1 not printed, 1 unfinished\n"),
        ("show", "? its duration was not printed, or its exit not recorded"),
        ("top", "2 calls never ended, or their durations were not printed: counted"),
    ],
)
def test_a_call_that_is_still_open_is_told_apart_in_number(tmp_path: Path, command: str, said: str) -> None:
    text = tmp_path / "open.txt"
    text.write_text(HEAD + " 1) vfs_foo() {\n 1)   foo_lock();\n")
    assert said in _kfgraph(command, text).stdout


def test_where_durations_are_printed_an_open_call_is_unfinished(tmp_path: Path) -> None:
    text = tmp_path / "open.txt"
    head = HEAD.replace("CPU  FUNCTION", "CPU  DURATION                  FUNCTION")
    text.write_text(head + " 1)               |  vfs_foo() {\n 1)   1.000 us    |    foo_lock();\n")
    assert ", 1 unfinished\n" in _kfgraph("info", text).stdout
    assert "? not finished: its exit was not recorded" in _kfgraph("show", text).stdout
    assert "1 call never ended: counted, their time is unknown" in _kfgraph("top", text).stdout


@pytest.mark.parametrize("command", ["show", "info", "top", "why", "errors", "syscalls"])
def test_the_name_of_a_tracer_is_spelt_out(command: str) -> None:
    done = _kfgraph(command, CASES / "esc-tracer.txt")
    assert done.returncode == 5
    assert r"a trace of the \x1b]0;pwned\x07\x1b[31mx tracer" in done.stderr
    assert not {c for c in done.stdout + done.stderr if ord(c) < 32 and c != "\n"}
