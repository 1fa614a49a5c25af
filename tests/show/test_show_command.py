"""``kfgraph show`` as a command: output, exit codes, JSON, pager, pipes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import kfgraph.parse
from builder.busy import busy
from builder.tables import call, trace_of, traces
from kfgraph.analyze.calltree import call_tree
from kfgraph.cli.app import main
from kfgraph.cli.show_options import fold_options, least
from kfgraph.errors import UsageError
from kfgraph.export.jsonl import write_calls
from kfgraph.model.calls import CONTEXTS, Flag
from kfgraph.model.trace import Trace
from kfgraph.render import pager


class Run:
    """``run(*args)``: show on a trace that is loaded instead of any file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys
        self.load(busy())

    def load(self, trace: Trace) -> None:
        self.trace = trace
        self.monkeypatch.setattr(kfgraph.parse, "load", lambda path, **_: trace)

    def __call__(self, *args: str) -> tuple[int, str, str]:
        status = main(["show", *args])
        said = self.capsys.readouterr()
        return status, said.out, said.err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.delenv("COLUMNS", raising=False)
    return Run(monkeypatch, capsys)


def test_a_tree_on_stdout_and_nothing_else(run: Run) -> None:
    status, out, err = run("--root", "load_module", "--nth", "1")
    assert (status, err) == (0, "")
    assert "├▸module_sig_check" in out
    assert "a_function_whose_name_is_much_too_long_for_a_narrow_terminal_to_show_it_whole.constprop.0" in out


def test_a_file_is_as_wide_as_columns_says(run: Run) -> None:
    run.monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, run("--root", "load_module")[1].splitlines())) <= 60


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["--root", "lod_module"], 6, "no call of 'lod_module' in this trace\n  hint: did you mean load_module"),
        (["--root", "load_module", "--nth", "3"], 6, "there is no match 3 of load_module"),
        (["--task", "rmmod"], 6, "no task 'rmmod'"),
        (["--pid", "7"], 6, "no task with pid 7"),
        (["--cpu", "9"], 6, "no call on CPU 9"),
        (["--expand", "nothing"], 6, "--expand: no call of 'nothing'"),
        (["-e", "nothing"], 6, "no event 'nothing' in this trace\n  hint: it has module_free, sys_enter_finit_module"),
        (["--min", "5"], 2, "--min: '5' has no unit"),
        (["--min", "101%"], 2, "--min: '101%' is not a share"),
        (["--nth", "1"], 2, "add --root FUNC"),
        (["--merge", "--start"], 2, "a merged tree has no calls for --event, --start or --with"),
        (["--merge", "-e", "*"], 2, "a merged tree has no calls for --event, --start or --with"),
        (["--all", "--max-rows", "5"], 2, "contradict"),
        (["--depth", "-1"], 2, "depth"),
        (["--from", "2", "--to", "1"], 2, "is not before"),
    ],
)
def test_failures_are_one_line_and_a_hint(run: Run, args: list[str], status: int, message: str) -> None:
    got, out, err = run(*args)
    assert (got, out) == (status, "")
    assert message in err
    assert err.startswith("kfgraph: ")
    assert "hint: " in err
    assert len(err.splitlines()) == 2


def test_what_the_default_leaves_out_is_said_on_stderr(run: Run) -> None:
    built = run.trace
    run.load(Trace(built.calls, built.symbols, built.tasks, meta=built.meta, command_lanes=frozenset({0})))
    status, out, err = run()
    assert status == 0
    assert "<idle>" not in out
    assert err == "kfgraph: 1 call of another task left out (--all-tasks)\n"
    assert "<idle>/1" in run("--all-tasks")[1]


def test_strict_prints_and_exits_5(run: Run) -> None:
    from kfgraph.errors import Notice

    built = run.trace
    notices = (Notice("lost-records", "places where records were lost", 3, "record less"),)
    run.load(Trace(built.calls, built.symbols, built.tasks, meta=built.meta, notices=notices))
    assert run()[0] == 0
    status, out, err = run("--strict")
    assert status == 5
    assert "load_module" in out
    assert "3 places where records were lost" in err


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_json_is_every_selected_call(run: Run) -> None:
    calls = run.trace.calls
    rows = lines(run("--json")[1])
    assert [r["row"] for r in rows] == list(range(len(calls)))
    assert [r["parent"] for r in rows] == [None if p < 0 else p for p in calls.parent.tolist()]
    assert [r["duration_ns"] for r in rows] == [None if d < 0 else d for d in calls.duration_ns.tolist()]
    assert rows[0] == {
        "row": 0, "parent": None, "level": 0, "function": "load_module", "module": "", "pid": 302, "comm": "insmod",
        "cpu": 0, "start_ns": 1_000_000_000, "duration_ns": 1_406_231_348, "total_ns": 1_406_231_348,
        "self_ns": 1_500_000, "context": "task", "flags": [], "irq_ns": 0, "total_irq_ns": 151_000,
    } | dict.fromkeys(("duration_ns", "total_ns"), int(calls.duration_ns[0]))  # fmt: skip
    assert next(r for r in rows if r["function"] == "widget_read_id")["module"] == "widget"
    assert next(r for r in rows if r["function"] == "do_exit")["flags"] == ["NO_EXIT"]


def test_json_below_a_root_keeps_global_rows(run: Run) -> None:
    rows = lines(run("--json", "--root", "do_one_initcall")[1])
    assert rows[0]["parent"] is None
    assert rows[0]["row"] == int(np.flatnonzero(run.trace.calls.level == 2)[1])
    assert [r["parent"] for r in rows[1:3]] == [rows[0]["row"], rows[1]["row"]]
    second = lines(run("--json", "--root", "load_module", "--nth", "2")[1])
    assert [r["function"] for r in second] == ["load_module", "kfree"]


def test_json_is_never_folded_and_says_which_options_do_nothing(run: Run) -> None:
    status, out, err = run("--json", "--depth", "0", "--min", "1s", "--hide", "kfree")
    assert status == 0
    assert len(lines(out)) == len(run.trace.calls)
    assert err == "kfgraph: --depth, --min, --hide do nothing with --json\n"


def test_json_of_a_merged_tree_is_one_array(run: Run) -> None:
    nodes = json.loads(run("--json", "--merge", "--root", "load_module")[1])
    assert nodes[0]["function"] == "load_module"
    assert (nodes[0]["n_calls"], nodes[0]["self_ns"]) == (2, 1_503_000)
    assert [n["node"] for n in nodes] == list(range(len(nodes)))
    assert all(n["parent"] < n["node"] for n in nodes[1:])
    assert "task" in json.loads(run("--json", "--merge")[1])[0]


@settings(max_examples=60, deadline=None)
@given(traces())
def test_json_equals_the_table(tmp_path_factory: pytest.TempPathFactory, trace: Trace) -> None:
    path = tmp_path_factory.mktemp("json") / "calls"
    with path.open("w") as out:
        write_calls(call_tree(trace), out)
    calls = trace.calls
    rows = lines(path.read_text())
    assert len(rows) == len(calls)
    for i, row in enumerate(rows):
        symbol = int(calls.func[i])
        assert row["function"] == (trace.symbols.names[symbol] or None)
        assert row["module"] == (trace.symbols.modules[symbol] if trace.symbols.resolved[symbol] else None)
        assert row["self_ns"] == (None if calls.self_ns[i] < 0 else calls.self_ns[i])
        assert row["context"] == CONTEXTS[calls.context[i]]
        assert row["flags"] == [f.name for f in Flag if calls.flags[i] & f]
        assert "retval" not in row
        assert "args" not in row


def test_json_has_return_values_where_recorded(run: Run) -> None:
    run.load(trace_of([
        call("f", 5, call("g", 5), call("kfree", 5, retval=7), call("h", 5, retval=0xFFFF_FFFE), retval=0xFFFF_FFED),
        call("load_module", 5, call("i", 5, retval=0xFFFF_FFFF), call("j", 5, retval=0xFFFF_8880_0000_0000),
             call("k", 5, retval=0xFFFF_FFED), retval=0xFFFF_FFFF_FFFF_FFED),
    ]))  # fmt: skip
    keys = ("function", "retval", "retval_raw", "error", "error_sure")
    assert [tuple(r[key] for key in keys) for r in lines(run("--json")[1])] == [
        ("f", -19, "0xffffffed", "ENODEV", False),
        ("g", None, None, None, False),
        ("kfree", None, "0x7", None, False),
        ("h", -2, "0xfffffffe", "ENOENT", False),
        ("load_module", -19, "0xffffffffffffffed", "ENODEV", True),
        ("i", -1, "0xffffffff", None, False),
        ("j", 0xFFFF_8880_0000_0000 - (1 << 64), "0xffff888000000000", None, False),
        ("k", -19, "0xffffffed", "ENODEV", True),
    ]


def test_json_of_hostile_text_is_json(run: Run) -> None:
    run.load(trace_of([call('a"b\\c\n\x1b[2J', 5)]))
    assert lines(run("--json")[1])[0]["function"] == 'a"b\\c\n\x1b[2J'


def test_folding_follows_what_is_asked_for() -> None:
    def options(**given: Any) -> Any:
        nothing: dict[str, Any] = dict.fromkeys(("screen_rows", "depth", "least", "max_rows"))
        nothing |= dict.fromkeys(("several", "all_"), False) | dict.fromkeys(("expand", "collapse", "calls_to"), ())
        return fold_options(**{**nothing, **given})

    assert (options().max_rows, options().limit_asked, options().repeats) == (80, False, True)
    assert options(screen_rows=40).max_rows == 70
    assert options(least=least("0")).max_rows is None
    assert options(least=least("0")).min_ns == 0
    assert options(least=least("1.5ms")).min_ns == 1_500_000
    assert options(least=least("2.5%")).min_share == 0.025
    assert options(depth=3).max_rows is None
    assert options(depth=3, max_rows=9).max_rows == 9
    assert (options(max_rows=0).max_rows, options(max_rows=0).max_roots) == (None, None)
    everything = options(all_=True, several=True)
    assert (everything.max_rows, everything.max_roots, everything.repeats) == (None, None, False)
    assert everything.open_roots == "all"
    assert options(several=True).open_roots == "one"
    for bad in ("-5us", "101%", "soon"):
        with pytest.raises(UsageError):
            least(bad)
    with pytest.raises(UsageError):
        least(None, all_=True, max_rows=9)


def test_the_pager_is_chosen_as_git_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pager.shutil, "which", lambda name: f"/bin/{name}" if name == "less" else None)
    assert pager.pager_argv({}) == ["/bin/less"]
    assert pager.pager_argv({"PAGER": "most -s"}) == ["most", "-s"]
    assert pager.pager_argv({"PAGER": "most", "KFGRAPH_PAGER": "less -S"}) == ["less", "-S"]
    assert pager.pager_argv({"PAGER": "cat"}) == []
    assert pager.pager_argv({"PAGER": "less", "KFGRAPH_PAGER": ""}) == []
    monkeypatch.setattr(pager.shutil, "which", lambda name: None)
    assert pager.pager_argv({}) == []


PRINT_LINES = """
import sys
from kfgraph.render.pager import write
write((f"line {i}\\n" for i in range(int(sys.argv[1]))), sys.stdout, page_after=20)
print("after", file=sys.stderr)
"""


def _on_terminal(tmp_path: Path, n_lines: int, pager_program: str) -> tuple[str, str, str]:
    """(what the terminal shows, what the pager was given, the LESS it saw)."""
    program = tmp_path / "pager"
    program.write_text(f"#!/bin/sh\necho $LESS > {tmp_path}/less\n{pager_program} > {tmp_path}/paged\n")
    program.chmod(0o755)
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "LESS"} | {"KFGRAPH_PAGER": str(program)}
    child = subprocess.run(
        [sys.executable, "-c", PRINT_LINES, str(n_lines)],
        stdout=theirs, stderr=subprocess.PIPE, env=environment, timeout=60, check=False,
    )  # fmt: skip
    os.close(theirs)
    try:
        seen = os.read(ours, 65536).decode()
    except OSError:
        seen = ""
    os.close(ours)
    assert (child.returncode, child.stderr) == (0, b"after\n")

    def read(name: str) -> str:
        path = tmp_path / name
        return path.read_text() if path.exists() else ""

    return seen, read("paged"), read("less").strip()


def test_short_output_needs_no_pager(tmp_path: Path) -> None:
    seen, paged, _ = _on_terminal(tmp_path, 20, "cat")
    assert (seen.split()[-1], paged) == ("19", "")


def test_long_output_goes_through_the_pager(tmp_path: Path) -> None:
    seen, paged, less = _on_terminal(tmp_path, 5_000, "cat")
    assert seen == ""
    assert paged == "".join(f"line {i}\n" for i in range(5_000))
    assert less == "FRX"


def test_a_pager_that_is_left_early_is_no_error(tmp_path: Path) -> None:
    seen, paged, _ = _on_terminal(tmp_path, 500_000, "head -n 3")
    assert (seen, paged) == ("", "line 0\nline 1\nline 2\n")


def test_an_encoding_without_the_drawn_characters_gets_plain_ones(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    with path.open("w", encoding="latin-1") as out:
        pager.write(["│ ├▸name … 3 × 2 ≥ · 日\n"], out)
    assert path.read_text("latin-1") == "| +>name ~ 3 × 2 > · \\u65e5\n"


def test_a_closed_pipe_is_no_error(repository: Path) -> None:
    report = "".join(
        f"  task-1  [000]  {i}.000001: funcgraph_entry:        1.000 us   |  f{i % 90}();\n" for i in range(60_000)
    )
    command = f"{sys.executable} -m kfgraph show --all - | head -n 2"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], input="cpus=1\n" + report, text=True, capture_output=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr
