"""What is said on stderr about a result: one line, in one write, behind the screen, about what is shown."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from builder.tables import call, trace_of
from builder.text import report_text
from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat
from kfgraph.cli.commands import COMMANDS
from kfgraph.cli.declared import gathered, option_name, parameters
from kfgraph.cli.messages import say
from kfgraph.cli.no_effect import without_effect
from kfgraph.errors import Notice
from kfgraph.model.units import format_bytes, format_size
from kfgraph.parse import load
from kfgraph.render.capture import CaptureSummary, progress_line, summary
from running import kfgraph

F, G, LOST_IN = TEXT + 0x100, TEXT + 0x200, TEXT + 0x300
SYMBOLS = {TEXT: ("T", "_stext", ""), F: ("T", "whole", ""), G: ("T", "leaf", ""), LOST_IN: ("T", "lossy", "")}


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Task one: ``whole``, nothing wrong. Task two: ``lossy`` with a loss in it, and a ``leaf`` that has no exit."""
    kernel = Kernel()
    cpus = [Cpu(kernel, 0), Cpu(kernel, 1)]
    cpus[0].entry(1_000, 11, F, 0)
    cpus[0].entry(2_000, 11, G, 1)
    cpus[0].exit(3_000, 11, G, 1, 2_000, 3_000)
    cpus[0].exit(9_000, 11, F, 0, 1_000, 9_000)
    cpus[1].entry(1_500, 22, LOST_IN, 0)
    cpus[1].lose(7)
    cpus[1].entry(5_000, 22, G, 1)
    cpus[1].exit(8_000, 22, LOST_IN, 0, 1_500, 8_000)
    path = tmp_path_factory.mktemp("lossy") / "lossy.dat"
    path.write_bytes(trace_dat(kernel, cpus, symbols=SYMBOLS, extra=Extra(comms={11: "one", 22: "two"})))
    return str(path)


def test_the_trace_has_what_it_is_built_for(lossy) -> None:
    notices = {notice.code: notice.n for notice in load(lossy).notices}
    assert notices == {"lost-records": 1, "exit-missing": 1, "cut-by-loss": 1}, notices


@pytest.mark.parametrize("command", ["show", "top"])
@pytest.mark.parametrize(
    "options", [["--task", "one"], ["--pid", "11"], ["--cpu", "0"], ["--root", "whole"]], ids=" ".join
)
def test_what_happened_elsewhere_is_not_told(command, options, lossy) -> None:
    code, out, err = kfgraph(command, lossy, *options)
    assert (code, err) == (0, "") and "leaf" in out


@pytest.mark.parametrize("command", ["show", "top"])
@pytest.mark.parametrize("options", [[], ["--task", "two"], ["--root", "lossy"]], ids=" ".join)
def test_what_happened_in_what_is_shown_is_told_in_one_line(command, options, lossy) -> None:
    code, _, err = kfgraph(command, lossy, *options)
    assert code == 0 and err.count("\n") == 1
    assert err == (
        "kfgraph: 1 place where the tracer lost records (record again with a larger --buffer, or less: --root, "
        f"--exclude); also 1 exit-missing, 1 cut-by-loss (kfgraph info {lossy} explains)\n"
    )


def test_what_explains_works_as_typed(lossy, tmp_path) -> None:
    path = tmp_path / "last week's.dat"
    path.write_bytes(Path(lossy).read_bytes())
    for command in ("show", "top"):
        _, _, err = kfgraph(command, str(path))
        (typed,) = re.findall(r"\((kfgraph info .*) explains\)$", err)
        code, out, _ = kfgraph(*shlex.split(typed)[1:])
        assert code == 0 and "1 call without an exit record" in out


def test_a_match_of_several_is_told_about_alone(lossy) -> None:
    assert kfgraph("show", lossy, "--root", "leaf", "--nth", "1")[2] == ""
    assert kfgraph("show", lossy, "--root", "leaf", "--nth", "2")[2] == (
        f"kfgraph: in what is shown: 1 exit-missing (kfgraph info {lossy} explains)\n"
    )


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One task: ``whole``, a loss, ``lossy``."""
    cpu = Cpu(Kernel(), 0)
    for func, at in ((F, 1_000), (LOST_IN, 20_000)):
        cpu.entry(at, 11, func, 0)
        cpu.exit(at + 500, 11, func, 0, at, at + 500)
        if func == F:
            cpu.lose(7)
    path = tmp_path_factory.mktemp("beside") / "beside.dat"
    path.write_bytes(trace_dat(Kernel(), [cpu], symbols=SYMBOLS, extra=Extra(comms={11: "one"})))
    return str(path)


def test_a_loss_beside_a_root_concerns_its_task_and_not_the_root(beside) -> None:
    assert [notice.code for notice in load(beside).notices] == ["lost-records"]
    for options in (["--root", "whole"], ["--root", "lossy"], ["--root", "whole", "--root", "lossy"]):
        assert kfgraph("show", beside, *options)[2] == "" == kfgraph("top", beside, *options)[2]
    for options in ([], ["--task", "one"], ["--merge"]):
        assert kfgraph("show", beside, *options)[2].startswith("kfgraph: 1 place where the tracer lost records (")
    assert kfgraph("show", beside, "--to", "0.000001")[2].startswith("kfgraph: 1 place"), "just behind what is shown"


def test_strict_is_about_the_whole_trace(lossy) -> None:
    code, out, err = kfgraph("show", lossy, "--root", "whole", "--strict")
    assert code == 5 and "leaf" in out
    assert err.startswith(f"kfgraph: {lossy}: 1 place where the tracer lost records; 1 call without an exit record: it")
    assert err.count("\n") == 2


def test_info_tells_all_of_it_with_a_number(lossy) -> None:
    code, out, err = kfgraph("info", lossy)
    words = " ".join(out.split())
    assert (code, err) == (0, "")
    for sentence in ("notices 1 place where the tracer lost records (", "1 call without an exit record: it had not",
                     "1 call with lost records inside it"):  # fmt: skip
        assert sentence in words


def test_with_everything_to_say_it_is_one_line(lossy) -> None:
    err = kfgraph("show", lossy, "--json", "--depth", "1", "--start", "--task", "two", "--all-tasks")[2]
    assert err.count("\n") == 1
    assert err.startswith(
        "kfgraph: --depth, --start do nothing with --json; --all-tasks does nothing with --task; 1 place where"
    )


@pytest.mark.parametrize("words", [["show"], ["top"], ["show", "--json"], ["top", "--csv"]], ids=" ".join)
def test_behind_the_screen_in_one_write(words, lossy) -> None:
    """stdout and stderr are one packet pipe: each read gives one write."""
    ours, theirs = os.pipe2(os.O_DIRECT)
    command = [sys.executable, "-m", "kfgraph", *words, lossy]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "PYTHONUNBUFFERED": "1"}):
        os.close(theirs)
        packets = []
        while packet := os.read(ours, 1 << 16):
            packets.append(packet)
    os.close(ours)
    assert packets[-1].startswith(b"kfgraph: 1 place where") and packets[-1].endswith(b" explains)\n")
    assert b"kfgraph: " not in b"".join(packets[:-1]) and b"leaf" in b"".join(packets[:-1])


def test_a_failure_and_its_hint_are_one_write(tmp_path) -> None:
    ours, theirs = os.pipe2(os.O_DIRECT)
    command = [sys.executable, "-u", "-m", "kfgraph", "show", str(tmp_path / "none")]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL):
        os.close(theirs)
        first, rest = os.read(ours, 1 << 16), os.read(ours, 1 << 16)
    os.close(ours)
    assert first.startswith(b"kfgraph: ") and b"\n  hint: " in first and rest == b""


def test_stdout_is_out_before_anything_is_said(monkeypatch) -> None:
    order: list[str] = []

    class Stream(io.StringIO):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name_ = name

        def write(self, text: str) -> int:
            order.append(f"{self.name_} {text}")
            return len(text)

        def flush(self) -> None:
            order.append(f"{self.name_} flushed")

    monkeypatch.setattr(sys, "stdout", Stream("out"))
    monkeypatch.setattr(sys, "stderr", Stream("err"))
    say("done", hint="go on")
    assert order == ["out flushed", "err kfgraph: done\n  hint: go on\n", "err flushed"]


def test_a_reader_of_stderr_that_has_gone_is_no_error(lossy) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run([sys.executable, "-m", "kfgraph", "show", lossy], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    assert done.returncode == 0 and b"leaf" in done.stdout


# Options that do nothing.

VALUES = {
    "--root": "whole", "--task": "one", "--pid": "11", "--cpu": "0", "--from": "0.000004", "--to": "0.000004",
    "--nth": "1", "--slowest": "1", "--depth": "0", "--min": "7us", "--max-rows": "2", "--expand": "whole",
    "--collapse": "whole", "--hide": "leaf", "--calls-to": "whole", "--event": "*", "--by": "calls",
    "--group": "module",
    "--limit": "1", "--paths": "1", "--reader": "report", "--buffer-name": "other",
}  # fmt: skip
MODES = [[], ["--json"], ["--merge"], ["--merge", "--json"], ["--csv"], ["--all"]]
NEEDS_DATA = {
    "--no-irq": "interrupts", "--open-irq": "interrupts", "--pre-exec": "a companion",
    "--all-tasks": "a companion", "--strict": "an exit code", "--debug": "a bug",
    "--fix": "a tracer", "--event": "events", "--expand": "a fold", "--max-rows": "many rows",
    "--verbose": "a screen", "--own-cost": "return probes", "--quiet": "a terminal",
    "--no-links": "a terminal", "--follow-tree": "a task that another one made",
}  # fmt: skip
"""Whose effect these options have on: the trace of this test has none, so their silence says nothing."""


@pytest.mark.parametrize("command", ["show", "top"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: " ".join(mode) or "screen")
def test_an_option_has_an_effect_or_is_said_to_have_none(command, mode, lossy) -> None:
    run = importlib.import_module(next(c.module for c in COMMANDS if c.name == command)).run
    names = [option_name(run, one.name) for one in parameters(run) if one.name != "trace"]
    if not set(mode) <= set(names):
        return
    plain = kfgraph(command, lossy, *mode)
    silent = []
    for name in names:
        if name in mode or name in ("--json", "--csv", "--merge", "--all"):
            continue
        value = [VALUES[name]] if name in VALUES else []
        rest = ["--root", "leaf"] if name in ("--nth", "--slowest") else []
        base = kfgraph(command, lossy, *mode, *rest) if rest else plain
        code, out, err = kfgraph(command, lossy, *mode, *rest, name, *value)
        if (code, out) == base[:2] and f"{name} " not in err.replace(",", " ") and name not in NEEDS_DATA:
            silent.append(name)
    assert silent == []


IDLE = [
    (["top", "--csv", "--paths", "3"], "--paths does nothing with --csv"),
    (["top", "--csv", "--paths", "5"], "--paths does nothing with --csv"),
    (["show", "--json", "--min", "1us"], "--min does nothing with --json"),
    (["show", "--json", "--all", "--event", "*"], "--all, --event do nothing with --json"),
    (["show", "--all", "--expand", "leaf"], "--expand does nothing with --all"),
    (["top", "--pid", "11", "--all-tasks"], "--all-tasks does nothing with --pid"),
]


@pytest.mark.parametrize("words, said", IDLE, ids=[" ".join(words) for words, _ in IDLE])
def test_options_that_do_nothing_are_named(words, said, lossy) -> None:
    code, out, err = kfgraph(*words, lossy)
    assert code == 0 and out
    assert err.startswith(f"kfgraph: {said}") and err.count("\n") == 1


def test_what_has_an_effect_is_not_named(lossy) -> None:
    assert "nothing" not in kfgraph("show", "--all", "--depth", "0", "--expand", "leaf", lossy)[2]
    assert "nothing" not in kfgraph("top", "--json", "--paths", "1", lossy)[2]
    assert "nothing" not in kfgraph("show", "--json", lossy)[2]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.name in ("show", "top", "trace")], ids=lambda c: c.name)
def test_every_rule_names_options_of_its_command(command) -> None:
    module = importlib.import_module(command.module)
    assert module.IDLE
    declared = {one.name: one for one in parameters(module.run)}
    for rule in module.IDLE:
        assert {rule.beside, *rule.options, *rule.unless} <= set(declared)
        given = {name: one.default for name, one in declared.items()}
        given = gathered(module.run, given | dict.fromkeys((rule.beside, rule.options[0]), "given"))
        assert option_name(module.run, rule.options[0]) in without_effect(module.run, given)[0].text


def test_a_count_of_one_has_its_number() -> None:
    assert Notice("c", "calls fail", 1, one="call fails").sentence == "1 call fails"
    assert Notice("c", "calls fail", 1_234, one="call fails").sentence == "1,234 calls fail"
    assert Notice("c", "the input ends early").sentence == "the input ends early"


def test_every_counted_notice_of_a_text_has_a_number(tmp_path: Path) -> None:
    text = report_text(trace_of([call("f", 10_000)])) + "no record of anything\n"
    path = tmp_path / "r.txt"
    path.write_text(text)
    assert "1 line is not a function graph record" in " ".join(kfgraph("info", str(path))[1].split())
    said = json.loads(kfgraph("info", "--json", str(path))[1])["notices"]
    assert [(notice["code"], notice["n"]) for notice in said] == [("unread-line", 1)]


def test_sizes_of_a_damaged_file_are_no_sizes() -> None:
    assert [format_bytes(n) for n in (0, 1, 1_234, -1, (1 << 64) - 1)] == [
        "0 bytes", "1 byte", "1,234 bytes", "an impossible number of bytes", "an impossible number of bytes"
    ]  # fmt: skip
    assert [format_size(n) for n in (0, 512, 1 << 20, -5, (1 << 64) - 1)] == ["0 B", "512 B", "1.0 MiB", "?", "?"]


def test_a_section_that_says_it_is_as_large_as_can_be(tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    cpu.entry(1_000, 1, F, 0)
    cpu.exit(2_000, 1, F, 0, 1_000, 2_000)
    data = trace_dat(Kernel(), [cpu], symbols=SYMBOLS)
    # The section's size of 8 bytes, kallsyms' own of 4, and its text.
    at = data.index(f"{TEXT:016x} T _stext".encode()) - 12
    path = tmp_path / "t.dat"
    for size in (b"\xff" * 8, b"\xff" * 7 + b"\x7f"):
        path.write_bytes(data[:at] + size + data[at + 8 :])
        code, out, err = kfgraph("info", str(path))
        assert code in (0, 5)
        assert "an impossible number of bytes" in " ".join((out + err).split())
        assert not re.search(r"\d{15,}|-\d+ (byte|B)", out + err)


def test_a_count_of_one_in_summaries() -> None:
    result = CaptureSummary("t", 1, 1, 1, 1, lost=((0, 1, 9),), n_probes=1, n_unprobed=1)
    lines = [line.plain for line in summary(result)]
    assert "  CPU 0 lost 1 event, 10% of what happened there" in lines
    assert "  1 return probe; 1 more function has none: --returns GLOB chooses" in lines
    assert lines[0].startswith("kfgraph: t: 1 call of 1 task, 1 B, recorded 1 ns")
    said = progress_line(stage="recording", elapsed_s=1, n_bytes=0, n_events=1, per_second=1, n_lost=0)
    assert said == "recording, 1 s, 0 B, 1 event, 1/s"


@pytest.mark.parametrize("command", ["errors", "syscalls", "why"])
def test_damage_elsewhere_is_not_told_beside_what_failed(command: str, tmp_path: Path) -> None:
    """Task 11 fails, with all its records; records of task 22 were lost on another CPU."""
    kernel = Kernel(retval=True)
    handler = TEXT + 0x400
    cpus = [Cpu(kernel, 0), Cpu(kernel, 1)]
    cpus[0].entry(1_000, 11, handler, 0)
    cpus[0].exit(9_000, 11, handler, 0, 1_000, 9_000, retval=(1 << 64) - 2)
    cpus[1].entry(1_500, 22, handler, 0)
    cpus[1].lose(7)
    cpus[1].entry(5_000, 22, G, 1)
    cpus[1].exit(6_000, 22, G, 1, 5_000, 6_000)
    cpus[1].exit(8_000, 22, handler, 0, 1_500, 8_000, retval=(1 << 64) - 5)
    symbols = {**SYMBOLS, handler: ("T", "__x64_sys_openat", "")}
    path = tmp_path / "lossy.dat"
    path.write_bytes(trace_dat(kernel, cpus, symbols=symbols, extra=Extra(comms={11: "one", 22: "two"})))
    lost = "1 place where the tracer lost records"
    assert kfgraph(command, str(path), "--pid", "11")[2] == ""
    for options in ([], ["--pid", "22"]):
        err = kfgraph(command, str(path), *options)[2]
        assert lost in err and err.count("\n") == 1, err
