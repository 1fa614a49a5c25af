"""Hostile text and every command: nothing that moves a cursor, turns a line around or cannot be seen comes out raw."""

from __future__ import annotations

import contextlib
import csv
import importlib
import inspect
import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat
from kfgraph.cli.app import main
from kfgraph.cli.commands import COMMANDS
from kfgraph.export.csv import cell
from kfgraph.export.exporters import EXPORTERS
from kfgraph.model.spelling import json_text, shell_line, spelt_out
from kfgraph.render.console import stdout_console

EVIL = (
    "\x1b]0;owned\x07", "\x1b[41mred", "a\x9b31mb", "\x08\x08back", "cr\rhidden", "del\x7f",
    "\u202egpj.exe", "\u2066iso", "lrm\u200ehere", "\u200frlm", "alm\u061c", "\u200bzero", "line\u2028end", "\u2029p",
    "\U000e0041\U000e0042tag", "\ufeffbom", "fill\u3164er", "=HYPERLINK(1)", "+1", "-2", "@SUM(1)", "＝1",
    "'quoted", "[red]markup[/red]", 'q"uote,comma', "<b>", "{0}%s",
    "__x64_sys_\x1b[41mred",
)  # fmt: skip
RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u3164\ud800-\udfff\U000e0000-\U000e0fff]"
)
OURS = re.compile(r"\x1b\[(?:0|[1-9]|3[0-7]|9[0-7]|;)*m")
"""Colours of letters, which evil names do not set."""


def evil_dat(clock: str = "local") -> bytes:
    """Every name in it is evil: functions, tasks, an event, another buffer, the tracer's clock."""
    kernel = Kernel(retval=True)
    main_cpu, other = Cpu(kernel, 0), Cpu(kernel, 0)
    symbols = {TEXT: ("T", "_stext", "")}
    comms = {}
    for i, name in enumerate(EVIL):
        address, at, pid = TEXT + 0x100 * (i + 1), 1_000_000 + 100_000 * i, 100 + i
        symbols[address], comms[pid] = ("t", name.replace(" ", "_"), name if i % 2 else ""), name
        main_cpu.entry(at, pid, address, 0)
        main_cpu.event(at + 100, pid, 77, b"\x05\0\0\0")
        main_cpu.entry(at + 1_000, pid, TEXT, 1)
        main_cpu.exit(at + 5_000, pid, TEXT, 1, at + 1_000, at + 5_000, retval=-19)
        main_cpu.exit(at + 20_000, pid, address, 0, at, at + 20_000, retval=-19)
    main_cpu.lose(3)
    main_cpu.entry(9_000_000, 100, TEXT + 0x100, 0)
    other.entry(1_000, 1, TEXT, 0)
    events = [("sys\x1b[41m", "event\x1b[41m\u202e", 77, [("int", "a\x1b[41m", 4)])]
    extra = Extra(comms=comms, events=events, buffers={"buf\x1b[41m\u200e": [other]}, clock=clock)
    return trace_dat(kernel, [main_cpu], symbols=symbols, extra=extra)


COMPANION = {
    "format": 1, "argv": ["insmod", "\x1b[41m\u202e.ko", "\udcff", "\ud800"], "trace_cmd": ["trace-cmd", "\x1b[2J"],
    "kernel": "6.1\x1b[41m", "partial": "killed \x1b[41m", "notes": ["left \u2066out\r"], "follow": False,
    "modules": [{"name": "m\x1b[41m", "path": "/\x07", "build_id": "\x1b", "vermagic": "\x1b", "functions": []}],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evil traces below an evil name."""
    place = tmp_path_factory.mktemp("evil") / "dir\x1b[41m\u202e"
    place.mkdir()
    (place / "evil.dat").write_bytes(evil_dat())
    (place / "with.dat").write_bytes(evil_dat("clo\x1b[41mck"))
    (place / "with.dat.kfgraph.json").write_text(json.dumps(COMPANION))
    (place / "broken.dat").write_bytes(evil_dat())
    (place / "broken.dat.kfgraph.json").write_text('{"format": "\\u001b[41m"}')
    (place / "tracer.txt").write_text("# tracer: \x1b]0;owned\x07\x1b[41mx\n")
    (place / "buffers.txt").write_text("".join(f"  {n}:  sh-1 [000]  1.0: e\x1b[41m: x\n" for n in ("a\x1b", "b")))
    lines = "".join(
        f"  sh\x1b[41m-{i} [000]  1.00{i}: funcgraph_entry:  0.100 us |  f\x1b[41m\u202e{i}();\n" for i in range(1, 9)
    )
    (place / "report.txt").write_text(f"cpus=1\n{lines}  \x1b[41mno line\n  sh-1 [000]  2.0: evil\x1b[41m: \r\u2066\n")
    (place / "empty\x1b[41m.dat").write_bytes(b"")
    return place


READING = [
    command.name
    for command in COMMANDS
    if "trace" in inspect.signature(importlib.import_module(command.module).run).parameters
]
LINES = [
    *[[command, file] for command in READING
      for file in ("evil.dat", "with.dat", "broken.dat", "tracer.txt", "buffers.txt", "report.txt", "empty\x1b[41m.dat",
                   "missing\x1b[41m\u202e")],
    *[[command, *words, "evil.dat"] for command in READING if command != "info"
      for words in (["--json"], ["--root", "red\x1b[41m"], ["--task", "red"], ["--module", "\x1b[41m\u202e.ko"],
                    ["--ret", "\x1b[41m"], ["--of", "red\x1b[41m"], ["--name", "\x1b[41m"], ["--count"], ["--all"],
                    ["--text"], ["--unsure"], ["--failed"], ["--nosuch\x1b[41m"])],
    ["why", "--", "no\x1b[41m\u202esuch"], ["why", "--", "./\x1b[41m\udcff"], ["errors", "evil.dat", "\x1b[41m"],
    ["info", "-v", "with.dat"], ["info", "--json", "with.dat"], ["info", "--json", "-v", "broken.dat"],
    ["info", "--strict", "broken.dat"], ["show", "--strict", "evil.dat"],
    ["show", "--all", "-e", "*", "evil.dat"], ["show", "--json", "evil.dat"], ["show", "--merge", "evil.dat"],
    ["show", "--merge", "--json", "evil.dat"], ["show", "--root", "red", "evil.dat"],
    ["show", "--root", "*", "evil.dat"],
    ["show", "--root", "\x1b[41mred", "evil.dat"], ["show", "--root", "gpj", "evil.dat"],
    ["show", "--root", "zero", "evil.dat"], ["show", "--pid", "5", "evil.dat"], ["show", "--task", "red", "evil.dat"],
    ["show", "--task", "\x1b[41mtask", "evil.dat"], ["show", "-e", "zz", "evil.dat"],
    ["show", "-e", "\x1b[41m", "evil.dat"],
    ["show", "--calls-to", "red\x1b[41m", "evil.dat"], ["show", "--expand", "tag", "evil.dat"],
    ["show", "--hide", "tag", "evil.dat"], ["show", "--nth", "99", "--root", "*[41m*", "evil.dat"],
    ["show", "--buffer-name", "\x1b[41mnone", "evil.dat"], ["show", "--buffer-name", "zz", "buffers.txt"],
    ["show", "--buffer-name", "buf\x1b[41m\u200e", "evil.dat"], ["show", "--reader", "\x1b[41m", "evil.dat"],
    ["show", "--min", "\x1b[41m", "evil.dat"], ["show", "--depth", "\x1b[41m", "evil.dat"],
    ["show", "--option\x1b[41m\u202e", "evil.dat"], ["show", "evil.dat", "extra\x1b[41m\u202e"], ["show", "-\x1b[41m"],
    ["why", "evil.dat"], ["why", "--root", "red", "evil.dat"], ["why", "--ret", "\x1b[41m", "evil.dat"],
    ["why", "--all", "evil.dat"], ["why", "--json", "evil.dat"], ["errors", "--unsure", "evil.dat"],
    ["errors", "--of", "\x1b[41m", "--json", "evil.dat"], ["syscalls", "evil.dat"],
    ["syscalls", "--task", "\x1b[41mtask", "evil.dat"], ["syscalls", "-e", "\x1b[41m", "evil.dat"],
    ["show", "--module", "\x1b[41m.ko", "evil.dat"],
    ["top", "--callers", "evil.dat"], ["top", "--callers", "--csv", "evil.dat"],
    ["top", "--csv", "evil.dat"], ["top", "--csv", "report.txt"], ["top", "--json", "evil.dat"],
    ["top", "--group", "module", "evil.dat"], ["top", "--group", "module", "--csv", "evil.dat"],
    ["top", "--by", "\x1b[41m", "evil.dat"], ["top", "--cpu", "9", "evil.dat"], ["top", "--root", "back", "evil.dat"],
    *[["export", "--format", exporter.name, *more, "evil.dat"]
      for exporter in EXPORTERS if exporter.text for more in ([], ["--root", "*"])],
    ["export", "--format", "\x1b[41m", "evil.dat"], ["export", "-o", "no\x1b[41m/x.csv", "evil.dat"],
    ["export", "-o", "x.\x1b[41m", "evil.dat"],
    ["command\x1b[41m\u202e"], ["--option\x1b[41m"], ["evil.dat\x1b[41m"], ["\x1b[41m.ko"], ["doctor", "\x1b[41m"],
    ["trace", "no\x1b[41m\u202esuch"], ["trace", "./no\x1b[41m\udcff"], ["trace", "--user", "\x1b[41m", "true"],
    ["trace", "--env", "\x1b[41m", "true"], ["trace", "--buffer", "\x1b[41m", "true"],
    ["trace", "--opt\x1b[41m", "true"],
    ["trace", "--cwd", "/no\x1b[41m", "true"], ["trace", "--guest-kernel", "\x1b[41m", "true"],
    ["trace", "--min-duration", "\x1b[41m", "true"], ["trace", "--duration", "\x1b[41m", "true"],
]  # fmt: skip


def in_process(*args: str) -> tuple[int, str, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    return code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


def on_a_terminal(*args: str, cwd: Path) -> str:
    """All that the terminal gets, with our own colours taken out."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "KFGRAPH_PAGER": "cat"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-m", "kfgraph", *args], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment
    ):
        os.close(theirs)
        data = b""
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65536):
                data += piece
    os.close(ours)
    return OURS.sub("", data.decode().replace("\r\n", "\n"))


def test_every_command_is_here() -> None:
    assert {line[0] for line in LINES} >= {command.name for command in COMMANDS}


@pytest.mark.parametrize("args", LINES, ids=lambda args: spelt_out(" ".join(args)))
def test_nothing_raw_in_a_pipe(args, folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    code, out, err = in_process(*args)
    assert not RAW.findall(out) and not RAW.findall(err)
    assert out or err
    assert "bug" not in err and code in (0, 2, 3, 5, 6, 125, 126, 127), err


@pytest.mark.parametrize("args", [
    ["show", "evil.dat"], ["show", "-e", "*", "with.dat"], ["show", "--root", "zero", "evil.dat"], ["top", "evil.dat"],
    ["info", "with.dat"], ["info", "tracer.txt"], ["why", "evil.dat"], ["errors", "--unsure", "evil.dat"],
    ["syscalls", "evil.dat"], ["syscalls", "-c", "evil.dat"], ["why", "--all", "evil.dat"],
    ["show", "report.txt"], ["top", "--csv", "evil.dat"],
    ["evil\x1b[41m.dat"], ["show", "--opt\x1b[41m\u202e"],
], ids=lambda args: spelt_out(" ".join(args)))  # fmt: skip
def test_nothing_raw_on_a_terminal(args, folder) -> None:
    seen = on_a_terminal(*args, cwd=folder)
    assert seen.strip() and not RAW.findall(seen)


def test_names_are_spelt_out_and_all_there(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "400")
    out = in_process("top", "--limit", "0", "evil.dat")[1]
    assert [name for name in EVIL if spelt_out(name) not in out] == []
    assert in_process("show", "--root", "gpj", "evil.dat")[2].endswith("  hint: did you mean \\u202egpj.exe?\n")
    assert in_process("info", "tracer.txt")[2].startswith("kfgraph: tracer.txt: ")


def test_json_gives_the_names_as_they_are(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    rows = [json.loads(line) for line in in_process("show", "--json", "evil.dat")[1].splitlines()]
    assert {row["comm"] for row in rows} == set(EVIL)
    functions = json.loads(in_process("top", "--json", "evil.dat")[1])["functions"]
    assert {row["function"] for row in functions} == {*EVIL, "_stext"}


def test_csv_gives_every_name_as_a_text_and_numbers_as_they_are(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    head, *rows = csv.reader(io.StringIO(in_process("top", "--csv", "evil.dat")[1]))
    names = [row[0] for row in rows]
    assert not [name for name in names if re.match(r"\s*[=+\-@＝\t\r]", name)]
    back = {name.removeprefix("'") for name in names}
    assert back == {*map(spelt_out, EVIL), "_stext"}
    assert [row[head.index("total_ns")] for row in rows if row[0] == "'=HYPERLINK(1)"] == ["20000"]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("=1", "'=1"), (" =1", "' =1"), ("-1", "'-1"), ("\t=1", "'\\t=1"), ("\r1", "'\\r1"), ("'a", "''a"),
        ("a=1", "a=1"), ("plain [mod]", "plain [mod]"), ("", ""), ("é", "é"),
    ],
)  # fmt: skip
def test_a_cell_is_never_a_formula(text, shown) -> None:
    assert cell(text) == shown
    assert cell(text).removeprefix("'") == spelt_out(text)


def test_what_is_spelt_out_is_what_unicode_calls_control_format_or_separator() -> None:
    spelt = {code for code in range(0x110000) if spelt_out(chr(code)) != chr(code)}
    must = {c for c in range(0x110000) if unicodedata.category(chr(c)) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert must - spelt == set()
    # What is left is invisible, or is no character.
    assert {unicodedata.category(chr(c)) for c in spelt - must} <= {"Mn", "Lo", "Cn"}
    assert spelt_out("\x1b\u202e\udcff\ud800\U000e0041\tü─") == "\\x1b\\u202e\\xff\\ud800\\U000e0041\\tü─"


def test_the_console_lets_nothing_through_that_a_view_forgot(monkeypatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    console = stdout_console()
    console.print(Text("a\x1b[41m\u202e\nb"), "\x9b31m")
    table = Table("\x1b[2J")
    table.add_row("cell\u2066")
    console.print(table)
    assert not RAW.findall(out.getvalue())
    assert out.getvalue().startswith("a\\x1b[41m\\u202e\nb \\x9b31m\n") and "cell" in out.getvalue()


def test_json_is_printable_ascii() -> None:
    assert json_text({"a\x7f": "\x1b\x7fé\u202e"}) == r'{"a\u007f": "\u001b\u007f\u00e9\u202e"}'


@pytest.mark.parametrize(
    "words", [["a b", "\x1b[31m'x\\"], ["\udcff1", "é"], ["\u202e\x7f7"], ["$HOME", "`x`"], ["\x1b$HOME`x`!\""]]
)
def test_a_line_to_type_means_the_same_words(words) -> None:
    line = shell_line(words)
    assert not RAW.search(line)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in words]
