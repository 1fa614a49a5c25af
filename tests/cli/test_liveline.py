"""The line that is written over: what a terminal shows beside a command's own output."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.terminal import Screen
from kfgraph.cli import guest_trace
from kfgraph.cli.liveline import LiveLine

WIDTH = 30


class Terminal(io.StringIO):
    """A stream that says it is a terminal of WIDTH columns."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 7


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((WIDTH, 24)))
    return Terminal()


def screen(terminal: Terminal) -> list[str]:
    shown = Screen(WIDTH)
    shown.feed(terminal.getvalue().replace("\n", "\r\n"))
    return shown.lines


def test_it_is_written_over_and_taken_away(terminal: Terminal) -> None:
    line = LiveLine(terminal)
    line.update("first and longer")
    line.update("second")
    assert screen(terminal) == ["second"]
    line.clear()
    assert screen(terminal) == [""]


def test_it_is_cut_to_the_terminal(terminal: Terminal) -> None:
    LiveLine(terminal).update("x" * 100)
    assert screen(terminal) == ["x" * (WIDTH - 1)]


@pytest.mark.parametrize("output", ["", "whole\n", "no end", "x" * WIDTH, "x" * (WIDTH - 1), "y" * 45])
def test_what_the_command_wrote_stays(terminal: Terminal, output: str) -> None:
    line = LiveLine(terminal)
    line.update("switching on")
    line.hand_over()
    terminal.write(output)
    line.take_back()
    line.update("finishing")
    line.update("finishing more")
    line.clear()
    terminal.write("summary\n")
    expected = Screen(WIDTH)
    expected.feed(output + ("" if output.endswith("\n") or not output else "\n"))
    written = [row for row in expected.lines if row]
    assert [row for row in screen(terminal) if row] == [*written, "summary"]
    # No empty line either, where the command ended its own.
    assert screen(terminal)[: len(written) + 1] == [*written, "summary"]


@pytest.mark.parametrize("output", ["ab", "ab\n", "a long line that is longer than this terminal is wide"])
def test_nothing_of_a_command_is_lost_while_both_write(terminal: Terminal, output: str) -> None:
    line = LiveLine(terminal)
    line.hand_over()
    for i in range(3):
        line.update(f"recording {i}")
        terminal.write(output)
    line.take_back()
    shown = "".join(screen(terminal))
    assert shown.count(output.strip()[:WIDTH]) == 3


def test_elsewhere_and_unwanted_it_is_nothing(terminal: Terminal) -> None:
    for line in (LiveLine(io.StringIO()), LiveLine(terminal, wanted=False)):
        line.update("text")
        line.hand_over()
        line.take_back()
        line.clear()
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_a_guest_says_nothing_of_itself_with_q(terminal: Terminal, quiet: bool) -> None:
    line = guest_trace._StatusLine(terminal, "6.1 in a guest", quiet=quiet)
    line.update("booting", 1.0)
    line.end()
    assert ("booting" in terminal.getvalue()) == (not quiet)
    plain = io.StringIO()
    guest_trace._StatusLine(plain, "6.1 in a guest", quiet=quiet).update("booting", 1.0)
    assert plain.getvalue() == ("" if quiet else "kfgraph: booting 6.1 in a guest\n")


class Bytes(io.BytesIO):
    """The command's output: on the same terminal, or in a file."""

    def __init__(self, terminal: Terminal | None) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal is not None

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return self.terminal.write(data.decode()) if self.terminal else super().write(data)


@pytest.mark.parametrize(("output", "rows"), [(b"no end", ["no end"]), (b"an end\n", ["an end"]), (b"", [])])
def test_what_is_said_after_a_guest_begins_a_line(terminal: Terminal, output: bytes, rows: list[str]) -> None:
    line = guest_trace._StatusLine(terminal, "6.1 in a guest", quiet=False)
    line.update("running", 1.0)
    if output:
        guest_trace._Output(Bytes(terminal), line).write(output)
    line.update("running", 2.0)
    for _ in range(2):  # after a failure, and on the way out
        line.end()
    terminal.write("summary\n")
    assert screen(terminal) == [*rows, "summary", ""]


def test_a_guest_that_is_ending_says_so_below_what_the_command_left(terminal: Terminal) -> None:
    line = guest_trace._StatusLine(terminal, "6.1 in a guest", quiet=False)
    line.update("running", 1.0)
    guest_trace._Output(Bytes(terminal), line).write(b"no end")
    line.update("done", 9.0)
    assert screen(terminal) == ["no end", "kfgraph: shutting down 6.1 in"]


def test_the_line_makes_way_for_who_reads_the_output_in_a_pipe(terminal: Terminal) -> None:
    line = guest_trace._StatusLine(terminal, "6.1", quiet=False)
    line.update("running", 2.0)
    guest_trace._Output(Bytes(None), line).write(b"said by head\n")
    assert screen(terminal) == [""]


@pytest.mark.parametrize(("given", "said"), [(b"line\n", 1), (b"", 0)])
def test_what_is_piped_in_does_not_reach_a_guest(given: bytes, said: int, tmp_path: Path) -> None:
    script = "from kfgraph.cli.guest_trace import _unheard_input as u; print(len(u()))"
    (tmp_path / "input").write_bytes(given)
    with (tmp_path / "input").open("rb") as file:
        from_file = subprocess.run([sys.executable, "-c", script], stdin=file, capture_output=True, check=True)
    ours, theirs = os.pipe()
    os.write(theirs, given)
    from_pipe = subprocess.run([sys.executable, "-c", script], stdin=ours, capture_output=True, check=True)
    for handle in (ours, theirs):
        os.close(handle)
    assert from_file.stdout == from_pipe.stdout == b"%d\n" % said


def test_output_that_goes_to_a_file_leaves_the_line_of_a_guest_alone(terminal: Terminal) -> None:
    line = guest_trace._StatusLine(terminal, "6.1", quiet=False)
    file = Bytes(None)
    guest_trace._Output(file, line).write(b"no end")
    line.update("running", 2.0)
    assert screen(terminal) == ["kfgraph: recording in 6.1, 2"]
    line.end()
    assert screen(terminal) == [""]
    assert file.getvalue() == b"no end"
