"""The error boundary: every bad input, by every command that reads a trace, in words and exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from rich.cells import cell_len

from builder.tables import call, trace_of
from builder.text import report_text
from builder.tracedat import dat_of
from kfgraph.model.standins import ERRORS, STAND_INS
from running import kfgraph

READING = ("show", "top", "info")


def python_m_kfgraph(*args: str, stdin: bytes | None = None, folder: Path | None = None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``python -m kfgraph``, a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "kfgraph", *args],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        cwd=folder,
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def nothing(_: Path) -> None:
    """The file is not there."""


def writes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


TEXT = report_text(trace_of([call("vfs_open", 1_000, call("do_dentry_open", 2_000))]))
TRACE_DAT_HEAD = b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0zstd\0"

BAD = {
    "missing": (nothing, "no such file"),
    "a directory": (lambda path: path.mkdir(), "directory"),
    "empty": (writes(b""), "empty"),
    "binary rubbish": (writes(bytes(range(256)) * 40), "not a trace"),
    "text without funcgraph": (writes(b"[    0.1] Linux version 6.1\n" * 30), "not a trace|no function_graph"),
    "a report of other events": (
        writes(b"cpus=1\n  sh-1 [000]  1.000001: sched_switch:  sh:1 ==> x:2\n" * 9), "function_graph"
    ),
    "a module": (writes(b"\x7fELF\x02\x01\x01" + bytes(200)), "ELF"),
    "perf.data": (writes(b"PERFILE2" + bytes(200)), "perf"),
    "a cut trace.dat": (writes(TRACE_DAT_HEAD), "."),
    "a trace.dat of zeros": (writes(TRACE_DAT_HEAD + bytes(4096)), "."),
    "a broken xz": (writes(b"\xfd7zXZ\x00" + b"rubbish" * 20), "damaged"),
    "a broken gzip": (writes(b"\x1f\x8b\x08" + b"rubbish" * 20), "damaged"),
    "a broken zstd": (writes(b"\x28\xb5\x2f\xfd" + b"rubbish" * 20), "damaged"),
}  # fmt: skip


def assert_one_line_and_a_hint(err: str, words: str) -> None:
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert lines[0].startswith("kfgraph: ") and re.search(words, lines[0]), err
    assert lines[1].startswith("  hint: ") and len(lines[1]) > len("  hint: "), err
    assert "Traceback" not in err and "bug" not in err


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("make, words", BAD.values(), ids=BAD.keys())
def test_bad_input_is_exit_5_one_line_one_hint(command, make, words, tmp_path) -> None:
    path = tmp_path / "bad input"
    make(path)
    code, out, err = kfgraph(command, str(path))
    assert (code, out) == (5, "")
    assert_one_line_and_a_hint(err, words)
    assert "bad input" in err.splitlines()[0], "the line names the object"


@pytest.mark.parametrize("command", READING)
def test_standard_input_is_read_and_named(command) -> None:
    assert python_m_kfgraph(command, "-", stdin=TEXT.encode())[0] == 0
    code, out, err = python_m_kfgraph(command, "-", stdin=b"")
    assert (code, out) == (5, "")
    assert_one_line_and_a_hint(err, "stdin|standard input")


@pytest.mark.parametrize("command", READING)
def test_no_trace_named_and_none_here(command, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = kfgraph(command)
    assert (code, out) == (5, "")
    assert_one_line_and_a_hint(err, "trace.dat")


@pytest.fixture
def text(tmp_path) -> str:
    path = tmp_path / "report.txt"
    path.write_text(TEXT)
    return str(path)


NO_MATCH: Iterable[tuple[list[str], str, str]] = [
    (["--root", "vfs_opne"], "vfs_opne", "vfs_open"),
    (["--root", "[broken"], r"\[broken", "."),
    (["--task", "nobody"], "nobody", "task"),
    (["--pid", "4711"], "4711", "task0-100"),
    (["--cpu", "77"], "77", "CPU 0"),
    (["--from", "9"], "no call", "."),
]


@pytest.mark.parametrize("command", ["show", "top"])
@pytest.mark.parametrize("options, words, hint", NO_MATCH, ids=lambda value: " ".join(value))
def test_what_is_not_in_the_trace_is_exit_6(command, options, words, hint, text) -> None:
    code, out, err = kfgraph(command, text, *options)
    assert (code, out) == (6, "")
    assert_one_line_and_a_hint(err, words)
    assert re.search(hint, err.splitlines()[1])


@pytest.mark.parametrize("command", ["show", "top"])
def test_a_trace_without_a_call_is_exit_6_and_info_tells_what_it_holds(command, tmp_path) -> None:
    path = tmp_path / "empty.dat"
    path.write_bytes(dat_of(trace_of([])))
    code, out, err = kfgraph(command, str(path))
    assert (code, out) == (6, "")
    assert_one_line_and_a_hint(err, "no function call was recorded")
    assert f"kfgraph info {path}" in err.splitlines()[1]
    code, out, err = kfgraph("info", str(path))
    assert (code, err) == (0, "") and "0 of 0 functions" in out


USAGE = [
    (["nosuchcommand"], "nosuchcommand"),
    (["top", "--nosuchoption"], "--nosuchoption"),
    (["top", "--by", "colour"], "colour"),
    (["top", "--limit", "-1"], "--limit"),
    (["top", "--limit", "many"], "--limit"),
    (["top", "TEXT", "--json", "--csv"], "--csv"),
    (["show", "TEXT", "--no-irq"], "--no-irq"),
    (["top", "TEXT", "--no-irq"], "--no-irq"),
    (["top", "TEXT", "--from", "2", "--to", "1"], "--from"),
    (["show", "TEXT", "--reader", "nosuch"], "nosuch"),
    (["info", "TEXT", "extra"], "extra"),
]


@pytest.mark.parametrize("args, words", USAGE, ids=lambda value: " ".join(value))
def test_wrong_usage_is_exit_2(args, words, text) -> None:
    code, out, err = kfgraph(*[text if arg == "TEXT" else arg for arg in args])
    assert (code, out) == (2, "")
    assert_one_line_and_a_hint(err, words)


@pytest.mark.parametrize("command", READING)
def test_strict_makes_problems_exit_5(command, tmp_path) -> None:
    path = tmp_path / "cut.txt"
    path.write_text("\n".join(TEXT.splitlines()[:-1]) + "\n")
    assert kfgraph(command, str(path))[0] == 0
    code, out, err = kfgraph(command, str(path), "--strict")
    assert code == 5 and out
    assert err.splitlines()[0].startswith("kfgraph: ") and "--strict" in err


@pytest.mark.parametrize("command", READING)
def test_strict_is_silent_where_nothing_is_wrong(command, text) -> None:
    code, out, err = kfgraph(command, text, "--strict")
    assert (code, err) == (0, "") and out


def test_no_command_shows_the_help_and_is_exit_2() -> None:
    code, out, err = kfgraph()
    assert code == 2 and "Usage: kfgraph" in out and err == ""


@pytest.mark.parametrize("width", ["80", "160"])
def test_the_help_of_trace_says_how_the_command_stands(width, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    code, out, _ = kfgraph("trace", "--help")
    words = " ".join(out.replace("│", " ").split())
    assert code == 0 and "Usage: kfgraph trace [OPTIONS] [--] COMMAND [ARG]... " in words
    assert "Command to run; options after its name belong to it." in words


@pytest.mark.parametrize("command", READING)
def test_the_help_of_an_argument_is_shown(command, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = " ".join(kfgraph(command, "--help")[1].replace("│", " ").split())
    assert "A trace.dat or a report text (also .gz, .xz, .zst), or - for stdin." in words


@pytest.mark.parametrize("command", READING)
def test_a_reader_that_has_gone_is_no_error(command, repository) -> None:
    trace = repository / "examples" / "insmod-fail19.report.txt.xz"
    all_of_it = {"show": ["--all"], "top": ["--json"], "info": []}[command]
    with subprocess.Popen(
        [sys.executable, "-m", "kfgraph", command, str(trace), *all_of_it],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert b"".join(line for line in child.stderr if not line.startswith(b"kfgraph: in this trace")) == b""
    assert child.returncode == 0


@pytest.mark.parametrize("command", READING)
def test_a_full_disk_is_said(command, text) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here: it is part of Linux")
    with full.open("wb") as sink:
        done = subprocess.run(
            [sys.executable, "-m", "kfgraph", command, text], stdout=sink, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode == 3 and done.stderr.decode() == "kfgraph: No space left on device\n"


@pytest.mark.parametrize("command", READING)
def test_a_locale_without_these_letters_gets_what_stands_for_them(command, text) -> None:
    printed = {}
    for encoding in ("ascii", "utf-8"):
        done = subprocess.run(
            [sys.executable, "-m", "kfgraph", command, text],
            capture_output=True,
            timeout=60,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert done.returncode == 0 and done.stderr == b""
        printed[encoding] = done.stdout.decode(encoding)
    assert printed["ascii"] == "".join(STAND_INS.get(c, c) for c in printed["utf-8"])


def test_what_stands_for_a_character_is_as_wide() -> None:
    assert {c: text for c, text in STAND_INS.items() if cell_len(c) != len(text) or not text.isascii()} == {}
    assert "é⚡ ≤".encode("ascii", ERRORS) == b"\\xe9=> <" and "é≤".encode("latin-1", ERRORS) == b"\xe9<"


def test_a_bug_is_one_line_and_a_traceback_under_debug(monkeypatch, capsys, text) -> None:
    from kfgraph.cli import app, options

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(options, "open_trace", broken)
    assert app.main(["info", text]) == 1
    assert capsys.readouterr().err.startswith("kfgraph: bug: ZeroDivisionError: a bug\n  hint: ")
    with pytest.raises(ZeroDivisionError):
        app.main(["--debug", "info", text])


def test_ctrl_c_is_130(monkeypatch, text) -> None:
    from kfgraph.cli import app, options

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(options, "open_trace", interrupted)
    assert app.main(["info", text]) == 130


def test_too_little_memory_is_exit_3(monkeypatch, capsys, text) -> None:
    from kfgraph.cli import app, options

    def too_much(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(options, "open_trace", too_much)
    assert app.main(["top", text]) == 3
    assert capsys.readouterr().err.startswith("kfgraph: not enough memory\n  hint: ")
