"""The overview: what show gives where no root is asked for. At most 50 rows, nothing lost, every hint works."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph.parse
from builder.busy import busy
from builder.tables import call, deep, trace_of, traces, wide
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.fold import Kind, fold
from kfgraph.analyze.tree_errors import failed
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.cli.app import main
from kfgraph.cli.show_options import OVERVIEW_ROWS, fold_options
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.render.tree import TreeView, tree_view

LEVEL = re.compile(r"^(?:│ )*(?:├[▸ ])?")


def options(rows: int | None = None) -> FoldOptions:
    """What show folds an overview by, on a terminal of so many lines."""
    return fold_options(
        several=False, overview=True, screen_rows=rows, all_=False, depth=None, least=None, max_rows=None, expand=(),
        collapse=(), calls_to=(),
    )  # fmt: skip


def overview(trace: Trace, rows: int | None = None) -> TreeView:
    return tree_view(call_tree(trace, merge=True), options(rows), overview=True)


def with_errors(trace: Trace, data: st.DataObject) -> Trace:
    """Some of the calls returned errors of a few kinds."""
    n = len(trace.calls)
    values = data.draw(st.lists(st.sampled_from([0, 0, -2, -19, -22, -12]), min_size=n, max_size=n))
    flags = trace.calls.flags | np.uint32(Flag.HAS_RETVAL)
    return replace(trace, calls=trace.calls.with_columns(retval=np.array(values, np.int64), flags=flags))


def many_errors(n: int) -> Trace:
    """Every other of ``n`` system calls fails in a way of its own, three levels down."""
    calls = [call(f"__x64_sys_{i}", 1_000, call(f"do_{i}", 500, call(f"check_{i}", 100))) for i in range(n)]
    trace = trace_of(calls)
    values = np.repeat(np.where(np.arange(n) % 2, -1 - np.arange(n) % 30, 0), 3)
    flags = trace.calls.flags | np.uint32(Flag.HAS_RETVAL)
    return replace(trace, calls=trace.calls.with_columns(retval=values.astype(np.int64), flags=flags))


TASKS = trace_of(*[[call(f"f{i}", 1_000 + i, call("g", 10))] for i in range(90)])
SHAPES = {
    "busy": busy(), "deep": deep(3_000), "wide": wide(5_000), "tasks": TASKS, "errors": many_errors(200),
    "few errors": many_errors(12), "functions": trace_of([call(f"f{i}", 9_000 - i) for i in range(3_000)]),
}  # fmt: skip


@pytest.mark.parametrize("rows", [None, 10, 24, 60, 200])
@pytest.mark.parametrize("name", SHAPES)
def test_no_trace_needs_more_than_fifty_rows(name: str, rows: int | None) -> None:
    view = overview(SHAPES[name], rows)
    assert len(view) <= OVERVIEW_ROWS == 50
    if rows and rows < 30:
        assert len(view) <= max(2 * rows - 10, 20)


@settings(max_examples=150, deadline=None)
@given(traces(), st.data())
def test_all_calls_and_all_time_are_accounted_for(trace: Trace, data: st.DataObject) -> None:
    trace = with_errors(trace, data)
    few = replace(options(), max_rows=data.draw(st.integers(1, 12)))
    tree = call_tree(trace, merge=True).tree
    folded = fold(tree, few)
    assert folded.n_shown + folded.n_hidden == len(trace.calls)
    shown = folded.node[folded.kind == Kind.CALL]
    in_rows = np.zeros(len(folded.tree), np.int64)
    in_rows[shown] = 1
    for row in np.flatnonzero(folded.kind == Kind.CALL).tolist():
        node = int(folded.node[row])
        below = shown[folded.tree.parent[shown] == node]
        rests = np.flatnonzero((folded.kind == Kind.REST) & (folded.node == node))
        counted = int(folded.tree.floor_ns[below].sum() + folded.hidden_ns[rests].sum() + folded.hidden_ns[row])
        callees = np.flatnonzero(folded.tree.parent == node)
        assert counted == int(folded.tree.floor_ns[callees].sum())
    roots = shown[folded.tree.parent[shown] < 0]
    others = int(folded.hidden_ns[(folded.kind == Kind.REST) & (folded.node < 0)].sum())
    assert int(folded.tree.floor_ns[roots].sum()) + others == int(tree.floor_ns[tree.roots].sum())


def test_few_errors_are_all_on_rows_and_many_are_counted() -> None:
    few = overview(SHAPES["few errors"])
    shown = few.folded.node[few.folded.kind == Kind.CALL]
    assert int(failed(few.folded.tree)[shown].sum()) == int(failed(few.folded.tree).sum()) == 18
    many = overview(SHAPES["errors"])
    shown = many.folded.node[many.folded.kind == Kind.CALL]
    n_shown = int(failed(many.folded.tree)[shown].sum())
    assert n_shown >= 5
    assert n_shown + many.folded.n_errors_hidden == 300
    assert "more failed" in "".join(many.plain())


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """``show(trace, *args)``: the lines of standard output."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(trace: Trace, *args: str) -> list[str]:
        monkeypatch.setattr(kfgraph.parse, "load", lambda path, **_: trace)
        assert main(["show", *args]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def rows_of(lines: list[str]) -> list[tuple[int, str]]:
    """(level, what stands there) of the rows."""
    at = lines[0].index("function") if "function" in lines[0] else lines[1].index("function")
    found = []
    for line in lines[1:]:
        said = line[at:]
        if not line[:at].strip() or not said:
            continue
        guides = LEVEL.match(said)
        assert guides is not None
        found.append((len(guides[0]) // 2, said[guides.end() :]))
    return found


OPENED = {
    "slow [mod]": [call("slow [mod]", 10_000_000, *[call(f"part{i}", 100_000 + i) for i in range(70)])],
    "task0-100": [call(f"part{i}", 2_000_000 - i) for i in range(70)],
}


@pytest.mark.parametrize("name", OPENED)
def test_each_folded_part_opens_as_its_row_says(show, name: str) -> None:
    trace = trace_of(OPENED[name])
    lines = show(trace)
    hints = [shlex.split(found) for line in lines for found in re.findall(r"\((--expand [^)]*)\)", line)]
    assert hints == [["--expand", name]]
    opened = show(trace, *hints[0])
    assert {said for _, said in rows_of(opened)} >= {f"part{i}" for i in range(70)}
    assert not any("… " in line and "(--" in line for line in opened)


def test_a_function_whose_opening_would_fill_screens_is_opened_by_time(show) -> None:
    trace = trace_of([call("slow", 10, *[call(f"part{i}", 1_000 + i) for i in range(900)])])
    text = "\n".join(show(trace))
    assert "--expand slow" not in text
    (option,) = re.findall(r"calls, [^(]*\((--min [^)]*)\)", text)
    more = show(trace, *option.split())
    assert 100 < len(more) < 420


def test_what_asks_for_single_calls_gets_them(show) -> None:
    twice = trace_of([call("f", 5_000, call("g", 10)), call("h", 20), call("f", 7_000)])
    assert [name for _, name in rows_of(show(twice))][:2] == ["task0-100", "f"]
    assert sum(name == "f" for _, name in rows_of(show(twice))) == 1
    for args in (["--calls"], ["--all"], ["--start"], ["--root", "*"], ["--calls-to", "g"]):
        names = [name.split(" ")[0].lstrip("#") for _, name in rows_of(show(twice, *args))]
        assert "calls of one path" not in "\n".join(show(twice, *args))
        if args in (["--calls"], ["--all"], ["--start"]):
            assert names == ["task0-100", "f", "g", "h", "f"], args
    assert any("--calls shows single calls" in line for line in show(twice))


def test_both_ways_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--merge", "--calls"]) == 2
    assert "--merge and --calls contradict each other" in capsys.readouterr().err


def test_losses_and_events_have_no_place_but_are_said() -> None:
    said = "".join(overview(busy()).plain())
    assert "records were lost at 3 places: --calls shows where" in said
    assert "3 other events not shown: -e '*' shows them" in said
