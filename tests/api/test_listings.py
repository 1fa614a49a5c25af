"""``trace.errors()``, ``trace.syscalls()`` and ``trace.calls.where()``: the rows of the commands, and their faces."""

from __future__ import annotations

import gc
import io
import json
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from rich.console import Console

import kfgraph
from builder.tables import call, trace_of, traces
from kfgraph.analyze.select import select
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model.calls import CallTable
from running import kfgraph as run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOO, CAT = EXAMPLES / "insmod-foo-fail19.dat", EXAMPLES / "cat-enoent.dat"


@pytest.fixture(autouse=True)
def at_the_width_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="module")
def foo() -> kfgraph.Trace:
    return kfgraph.load(FOO)


@pytest.fixture(scope="module")
def cat() -> kfgraph.Trace:
    return kfgraph.load(CAT)


def lines(*words: str | Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in run(*words)[1].splitlines()]


def in_rich(result: object, width: int = 160) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(result)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []), ({"ret": "ENOENT"}, ["--ret", "ENOENT"]), ({"ret": [2, -95]}, ["--ret", "2", "--ret", "EOPNOTSUPP"]),
        ({"unsure": True, "root": "do_file_open"}, ["--unsure", "--root", "do_file_open"]),
        ({"no_irq": True}, ["--no-irq"]),
    ],
)  # fmt: skip
def test_errors_are_the_rows_of_the_command(cat, given, words) -> None:
    found = cat.errors(**given)
    assert found.records() == lines("errors", CAT, "--json", *words) and len(found) > 0
    assert [row.function for row in found] == [record["function"] for record in found.records()]
    assert found.to_pandas()["row"].tolist() == [row.row for row in found]
    plain = run("errors", CAT, "--limit", "0", *words)[1]
    assert str(found) == plain == in_rich(found)


def test_errors_of_a_module(foo) -> None:
    assert foo.errors(module="foo").records() == lines("errors", FOO, "--json", "--of", "foo")
    assert len(foo.errors(module="no-such")) == 0
    assert list(foo.errors(module="no-such").to_pandas().columns) == list(foo.errors().to_pandas().columns)
    with pytest.raises(UsageError, match="not an error number or name"):
        foo.errors(ret="ENONSENSE")
    with pytest.raises(NoMatchError, match="no return value was recorded"):
        trace_of([call("f")]).errors()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []), ({"failed": True}, ["--failed"]), ({"names": ["open*", "read"]}, ["-e", "open*", "-e", "read"]),
        ({"slowest": 3}, ["--slowest", "3"]), ({"task": "cat"}, ["--task", "cat"]),
    ],
)  # fmt: skip
def test_system_calls_are_the_rows_of_the_command(cat, given, words) -> None:
    found = cat.syscalls(**given)
    assert found.records() == lines("syscalls", CAT, "--json", *words) and len(found) > 0
    assert found.to_pandas()["system_call"].tolist() == [one.name for one in found]
    assert str(found) == run("syscalls", CAT, "--limit", "0", *words)[1] == in_rich(found)


def test_their_sums_are_the_rows_of_its_summary(cat) -> None:
    sums = cat.syscalls().sums()
    told = lines("syscalls", CAT, "-c", "--json")
    assert sums.records() == told and len(sums) > 10
    assert str(sums) == run("syscalls", CAT, "-c", "--limit", "0")[1] == in_rich(sums)
    frame = sums.to_pandas()
    assert frame["total_ns"].fillna(-1).tolist() == [record["total_ns"] or -1 for record in told]
    # exit_group never ends.
    assert frame[frame["name"] == "exit_group"]["max_ns"].isna().tolist() == [True]
    assert len(cat.syscalls(names="no_such").sums()) == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []), ({"root": "vfs_open", "no_irq": True}, ["--root", "vfs_open", "--no-irq"]),
        ({"root": "vfs_open", "cpu": 0}, ["--root", "vfs_open", "--cpu", "0"]), ({"failed": True}, ["--failed"]),
        ({"ret": -2}, ["--ret", "-2"]), ({"ret": ["<0", "0"]}, ["--ret", "<0", "--ret", "0"]),
        ({"from_s": 0.1, "to_s": 0.11}, ["--from", "0.1", "--to", "0.11"]), ({"irq": True}, ["--irq"]),
    ],
)  # fmt: skip
def test_where_finds_the_calls_that_show_writes(cat, given, words) -> None:
    found = cat.calls.where(**given)
    told = lines("show", CAT, "--json", *(() if "--root" in words else ("--calls",)), *words)
    assert sorted(record["row"] for record in told) == found.rows.tolist() and len(found) == len(told) > 0
    of_row = {record["row"]: record for record in told}
    frame = found.to_pandas()
    for name in ("total_ns", "self_ns", "start_ns"):
        assert [None if pd.isna(ns) else ns for ns in frame[name]] == [of_row[row][name] for row in frame.index], name


def test_the_calls_as_text(foo) -> None:
    found = foo.calls.where(root="foo_probe", ret="ENODEV")
    assert repr(found) == "<CallRows 3 calls of 5,811>"
    head, titles, *rows = str(found).splitlines()
    assert (head, titles.split()) == ("3 calls, 1 task", ["start", "s", "total", "self", "CPU", "task", "function"])
    assert rows[2].split() == [
        "0.701308", "20.479", "us", "11.953", "us", "0", "insmod-116", "foo_read_id", "[foo]", "=", "-19", "ENODEV"
    ]  # fmt: skip
    assert kfgraph.to_text(foo.calls.where(root="foo_probe"), max_rows=2).splitlines()[-1] == "… 11 more calls"
    assert str(found) == in_rich(found)
    narrow = in_rich(found, width=50).splitlines()
    assert all(len(line) <= 50 for line in narrow) and "not at this width (to_pandas())" in " ".join(narrow[-2:])


@settings(deadline=None, max_examples=60)
@given(traces())
def test_where_is_the_selection_of_any_trace(trace) -> None:
    for cpu in sorted(set(trace.calls.cpu.tolist()) - {-1}):
        found = trace.calls.where(cpu=cpu)
        assert found.rows.tolist() == np.flatnonzero(select(trace, cpu=cpu).keep).tolist()
        assert len(found.to_pandas()) == len(found) == int((trace.calls.cpu == cpu).sum())
        assert len(str(found).splitlines()) == min(len(found), 80) + 2 + (len(found) > 80)


def test_calls_know_their_trace_and_no_other() -> None:
    trace = trace_of([call("f", 10, call("g", 5))])
    names = tuple(name.upper() for name in trace.symbols.names)
    other = replace(trace, symbols=replace(trace.symbols, names=names))
    assert len(trace.calls.where(root="g")) == len(other.calls.where(root="G")) == 1
    with pytest.raises(NoMatchError):
        other.calls.where(root="g")
    with pytest.raises(NoMatchError):
        trace.calls.where(root="G")
    # What is found is as good as what was asked.
    assert len(trace.calls.where(root="f").trace.calls.where(root="g")) == 1
    # Nobody need keep the trace, and nothing keeps it.
    assert len(trace_of([call("f", 10)]).calls.where(root="f")) == 1
    watched = weakref.ref(other)
    gc.disable()
    try:
        del other
        assert watched() is None
    finally:
        gc.enable()
    with pytest.raises(UsageError, match="the table of no trace"):
        CallTable.empty().where()
    with pytest.raises(TypeError, match="no filter 'nonsense'"):
        trace.calls.where(nonsense=1)


HOSTILE = "<b>&\x1b[41m\u202e[red]x"


def test_no_face_takes_a_name_for_markup() -> None:
    trace = trace_of([call(HOSTILE, 5, retval=0xFFFFFFEA), call("g", 3)])
    faces = [trace.calls.where(), trace.errors(unsure=True)]
    for found in faces:
        page = found._repr_html_()
        assert "&lt;b&gt;&amp;\\x1b[41m\\u202e[red]x" in page and "<b>" not in page and "\x1b" not in page
        assert "<b>&\\x1b[41m\\u202e[red]x" in in_rich(found) and "\x1b" not in str(found)


def test_a_tree_and_a_table_print_in_rich(cat) -> None:
    tree = kfgraph.call_tree(cat, root="vfs_open", nth=1)
    assert in_rich(tree, width=100) == kfgraph.to_text(tree, width=100)
    top = kfgraph.top(cat)
    assert in_rich(top) == str(top)
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=True, color_system="truecolor").print(tree)
    assert "\x1b[" in out.getvalue()
