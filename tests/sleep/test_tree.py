"""Time off the CPU in trees: calls, merged, hidden, and in every format the same."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.parts import PART_COLUMNS
from kfgraph.analyze.select import select
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.analyze.waiting_functions import functions_off_cpu
from kfgraph.errors import UsageError
from kfgraph.export.callrows import write_rows
from kfgraph.export.jsonl import write_calls, write_nodes
from kfgraph.model.tree import TreeTable
from kfgraph.render.tree import tree_view
from sleep.test_pass import ACTIONS, loaded, run
from sleep.test_top import two_sleeps

OFF_CPU = [name for name in PART_COLUMNS if "irq" not in name]


def naive(tree: TreeTable, kind: str) -> list[int]:
    """The sum of a node's own time and that of all below it."""
    own = tree.whole(kind).tolist()
    return [sum(own[node : tree.end[node]]) for node in range(len(tree))]


@settings(max_examples=120, deadline=None)
@given(st.lists(ACTIONS, min_size=10, max_size=80), st.sampled_from(["f", "g", "schedule", "f*"]), st.booleans())
def test_totals_hold_what_is_below(
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[int, int, str, int, int, str]],
    hide: str,
    merge: bool,
) -> None:
    m, n_switches = run(actions)
    trace = loaded(m, tmp_path_factory.getbasetemp() / "tree.dat")
    if not n_switches or not len(trace.calls):
        return
    whole, some = call_tree(trace).tree, call_tree(trace, hide=hide, merge=merge).tree
    for kind in ("asleep_ns", "preempted_ns"):
        for tree in (whole, some):
            total = tree.whole(f"total_{kind}")
            assert total.tolist() == naive(tree, kind)
        assert some.whole(kind).sum() == whole.whole(kind).sum()
    finished = (whole.total_ns >= 0) & (whole.kind == 0)
    off = whole.total_asleep_ns + whole.total_preempted_ns
    assert (off[finished] <= whole.total_ns[finished]).all()


def test_every_format_tells_the_same(tmp_path: Path) -> None:
    trace = two_sleeps(tmp_path / "a.dat")
    told = {
        "asleep_ns": [0, 0, 670, 0, 0, 0, 0, 0], "total_asleep_ns": [670, 670, 670, 0, 0, 0, 0, 0],
        "preempted_ns": [0, 0, 0, 0, 0, 0, 100, 0], "total_preempted_ns": [0, 0, 0, 0, 0, 100, 100, 0],
    }  # fmt: skip
    out = io.StringIO()
    write_calls(call_tree(trace), out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    cells = io.StringIO()
    write_rows(select(trace), cells)
    head, *rows = [line.split(",") for line in cells.getvalue().splitlines()]
    frame, nodes = kfgraph.to_pandas(trace), call_tree(trace).to_pandas()
    for name, values in told.items():
        assert [line[name] for line in lines] == values
        assert [int(row[head.index(name)]) for row in rows] == values
        assert frame[name].tolist() == values
        assert nodes[name].tolist()[1:] == values
    # The task above them.
    assert [int(nodes[name][0]) for name in OFF_CPU] == [0, 670, 0, 100]
    for line in lines:
        below = sum(each["duration_ns"] for each in lines if each["parent"] == line["row"])
        assert line["duration_ns"] == line["self_ns"] + below + line["asleep_ns"] + line["preempted_ns"]


def test_a_merged_tree_and_its_json(tmp_path: Path) -> None:
    merged = call_tree(two_sleeps(tmp_path / "a.dat"), root=["f"], merge=True)
    out = io.StringIO()
    write_nodes(merged, out)
    nodes = {(node["function"], node["level"]): node for node in json.loads(out.getvalue())}
    root = nodes["f", 0]
    assert [root[name] for name in OFF_CPU] == [0, 670, 0, 100]
    assert [nodes["schedule", 2][name] for name in OFF_CPU] == [670, 670, 0, 0]
    assert [nodes["schedule", 1][name] for name in OFF_CPU] == [0, 0, 100, 100]


def test_rows_say_it_and_columns_come_on_request(tmp_path: Path) -> None:
    trace = two_sleeps(tmp_path / "a.dat")
    tree = call_tree(trace, root=["f"])
    plain = "".join(tree_view(tree, FoldOptions(max_rows=None)).plain())
    assert "schedule, asleep 670 ns" in plain and "schedule, preempted 100 ns" in plain and "on CPU" not in plain
    wide = "".join(tree_view(tree, FoldOptions(max_rows=None), beside=("oncpu", "asleep", "preempted")).plain())
    head, first, second = wide.splitlines()[1:4]
    assert head.split() == ["total", "self", "on", "CPU", "asleep", "preempted", "share", "calls", "function"]
    assert first.split()[:8] == ["1.000", "us", "0.075", "us", "0.330", "us", "0.670", "us"]
    assert second.split()[:8] == ["0.925", "us", "0.075", "us", "0.255", "us", "0.670", "us"]
    merged = call_tree(trace, merge=True)
    assert "asleep" in "".join(tree_view(merged, FoldOptions(), beside=("asleep",)).plain()).splitlines()[0]
    with pytest.raises(UsageError, match="--merge: a merged tree has no calls"):
        tree_view(merged, FoldOptions(), beside=("asleep", "cpu"))


def test_columns_that_the_trace_does_not_tell_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("cpus=1\n sh-1 [000] 1.000001: funcgraph_entry:  5.000 us |  f();\n")
    view = "".join(tree_view(call_tree(kfgraph.load(str(file))), FoldOptions(), beside=("asleep",)).plain())
    assert "nothing of asleep was recorded in this trace" in view and "asleep" not in view.splitlines()[0]


def test_functions_that_were_mostly_off_the_cpu_are_drawn_as_such(tmp_path: Path) -> None:
    trace = two_sleeps(tmp_path / "a.dat")
    off = functions_off_cpu(trace)
    assert [trace.symbols.label(int(code)) for code in np.flatnonzero(off)] == ["schedule"]
