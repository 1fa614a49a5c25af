"""The doors for library users say what the columns say."""

from __future__ import annotations

import anytree
import pandas as pd
import pytest
from hypothesis import given, settings

import kfgraph
from builder.tables import call, deep, trace_of, traces, wide
from kfgraph.errors import NoMatchError
from kfgraph.model.tasks import Task


def test_every_public_name_is_there() -> None:
    assert set(kfgraph.__all__) <= set(dir(kfgraph))
    for name in kfgraph.__all__:
        assert callable(getattr(kfgraph, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kfgraph.nothing  # noqa: B018


@given(traces())
@settings(max_examples=60, deadline=None)
def test_the_frame_has_each_call_once(trace) -> None:
    frame = kfgraph.to_pandas(trace)
    calls = trace.calls
    assert frame.index.tolist() == list(range(len(calls)))
    assert frame["duration_ns"].fillna(-1).tolist() == calls.duration_ns.tolist()
    assert frame["self_ns"].fillna(-1).tolist() == calls.self_ns.tolist()
    assert frame["parent"].fillna(-1).tolist() == calls.parent.tolist()
    assert frame["level"].tolist() == calls.level.tolist()
    names = [trace.symbols.names[code] or None for code in calls.func]
    assert [None if pd.isna(name) else name for name in frame["function"]] == names
    assert frame["pid"].tolist() == [trace.tasks[lane].pid for lane in calls.lane]


def test_what_is_unknown_is_na() -> None:
    trace = trace_of(
        [call("f [m]", 3, call("0xffffffffc0a9d01f", 2), unfinished=True)], [call("", 4, context=2)],
        tasks=[Task(7, "insmod"), Task(-1, "", 3)],
    )  # fmt: skip
    rows = kfgraph.to_pandas(trace).astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    assert [(r["function"], r["module"], r["pid"], r["comm"], r["context"]) for r in rows] == [
        ("f", "m", 7, "insmod", "task"),
        ("0xffffffffc0a9d01f", None, 7, "insmod", "task"),
        (None, None, None, None, "hardirq"),
    ]
    assert [r["duration_ns"] for r in rows] == [None, 2, 4]


def test_the_frame_of_a_selection_keeps_the_rows_of_the_trace() -> None:
    trace = trace_of([call("a", 1, call("b", 2, call("c", 3)))])
    frame = kfgraph.to_pandas(trace, root=["b"])
    assert frame.index.tolist() == [1, 2] and frame["parent"].isna().tolist() == [True, False]
    with pytest.raises(NoMatchError):
        kfgraph.to_pandas(trace, root=["nothing"])


def test_the_frame_of_an_empty_trace_has_its_columns() -> None:
    frame = kfgraph.to_pandas(trace_of())
    assert len(frame) == 0 and "self_ns" in frame.columns


def test_anytree_nodes_are_the_tree() -> None:
    trace = trace_of([call("a", 1, call("b", 2, call("c", 3)), call("d", 4, unfinished=True))])
    (root,) = kfgraph.to_anytree(kfgraph.call_tree(trace, root=["a"]))
    assert [(n.name, n.depth, n.n_calls, n.total_ns, n.self_ns, n.row) for n in anytree.PreOrderIter(root)] == [
        ("a", 0, 1, 10, None, 0), ("b", 1, 1, 5, 2, 1), ("c", 2, 1, 3, 3, 2), ("d", 1, 1, None, None, 3),
    ]  # fmt: skip


def test_a_merged_tree_has_counts_and_no_rows() -> None:
    trace = trace_of([call("a", 1, call("b", 2), call("b", 5))])
    (root,) = kfgraph.to_anytree(kfgraph.call_tree(trace, root=["a"], merge=True))
    (b,) = root.children
    assert (b.name, b.n_calls, b.total_ns, b.row) == ("b", 2, 7, None)


def test_anytree_refuses_a_whole_trace_and_takes_a_deep_one() -> None:
    with pytest.raises(ValueError, match="30,001 nodes are more than 20,000"):
        kfgraph.to_anytree(kfgraph.call_tree(wide(30_000), root=["root"]))
    (root,) = kfgraph.to_anytree(kfgraph.call_tree(deep(800), root=["f0"]))
    node, names = root, [root.name]
    while node.children:  # anytree's own walks recurse
        (node,) = node.children
        names.append(node.name)
    assert names == [f"f{i}" for i in range(800)]


def test_what_a_notebook_shows() -> None:
    result = kfgraph.top(trace_of([call("load_module", 3_000)]))
    assert "load_module" in result._repr_html_() and "<table" in result._repr_html_()
    assert repr(result) == "<Top 1 function by self, 1 call, self 3.000 us>"
    assert dict(result.__rich_repr__())["functions"] == ["load_module 100.0%"]
