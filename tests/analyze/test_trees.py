"""The columns of a TreeTable: how each merges, what is not stored, and what one more column takes."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.tables import call, trace_of, traces
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.fold import fold
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.export.jsonl import write_nodes
from kfgraph.model import background, merging
from kfgraph.model.calls import Flag
from kfgraph.model.merging import Rule, known_part
from kfgraph.model.trace import Trace
from kfgraph.model.tree import Column, NodeKind, TreeTable


def least(values: list[int]) -> int:
    return min((v for v in values if v >= 0), default=-1)


def known_sum(values: list[int]) -> int:
    known = [v for v in values if v >= 0]
    return sum(known) if known else -1


def bound(values: list[int]) -> int:
    known = sum(v if v >= 0 else -1 - v for v in values)
    return -1 - known if any(v < 0 for v in values) else known


def any_of(values: list[int]) -> int:
    return int(np.bitwise_or.reduce(values))


RULES = [
    (merging.SUM, sum, 0),
    (merging.KNOWN_SUM, known_sum, -1),
    (merging.LEAST, least, -1),
    (merging.MOST, max, -1),
    (merging.OR, any_of, 0),
    (merging.FIRST, lambda values: values[0], -1),
    (merging.BOUND, bound, -5),
]


@pytest.mark.parametrize(("rule", "by_hand", "lowest"), RULES)
@given(data=st.data())
def test_values_merge_as_by_hand(rule: Rule, by_hand: object, lowest: int, data: st.DataObject) -> None:
    one = st.one_of(st.sampled_from([lowest, 0]), st.integers(lowest, 9))
    groups = data.draw(st.lists(st.lists(one, min_size=1, max_size=5), min_size=1, max_size=5))
    more = [(value, i) for i, group in enumerate(groups) for value in group[1:]]
    values, at = (np.array([pair[k] for pair in more], np.int64) for k in (0, 1))
    first = np.array([group[0] for group in groups], np.int64)
    expected = [by_hand(group) for group in groups]  # type: ignore[operator]
    assert rule.into(first, values, at).tolist() == expected
    if rule.over:
        end = np.cumsum([len(group) for group in groups])
        column = np.array([value for group in groups for value in group], np.int64)
        assert rule.over(column, np.append(0, end[:-1]), end).tolist() == expected


@given(traces())
def test_a_tree_of_single_calls_stores_nothing_that_follows(trace: Trace) -> None:
    calls = trace.calls
    tree = call_tree(trace).tree
    assert not [name for name in ("count", "n_unfinished", "min_ns", "max_ns", "own_cost_ns") if tree.has(name)]
    assert tree.has("floor_ns") == bool((calls.duration_ns < 0).any())
    is_call = tree.row >= 0
    assert (tree.kind == np.where(is_call, NodeKind.CALL, NodeKind.TASK)).all()
    duration = np.append(calls.duration_ns, -1)[tree.row]
    expected = {
        "count": is_call.astype(np.int64),
        "n_unfinished": (is_call & (duration < 0)).astype(np.int64),
        "min_ns": duration,
        "max_ns": duration,
        "own_cost_ns": np.zeros(len(tree), np.int64),
    }
    nodes = np.flatnonzero(is_call)[::2]
    for name, values in expected.items():
        assert tree.at(name, nodes).tolist() == values[nodes].tolist(), name
        assert tree.whole(name).tolist() == values.tolist(), name
        assert tree.whole(name).dtype == TreeTable.COLUMNS[name].dtype, name
        assert [int(tree.at(name, node)) for node in nodes.tolist()] == values[nodes].tolist(), name
    tree.check()
    end = tree.end.tolist()
    below = [int(expected["count"][i : end[i]].sum()) for i in range(len(tree))]
    assert tree.n_calls(np.arange(len(tree))).tolist() == below
    both = call_tree(trace, merge=True).tree
    counts = both.count.tolist()
    assert both.n_calls(np.arange(len(both))).tolist() == [sum(counts[i:e]) for i, e in enumerate(both.end.tolist())]


MIGRATIONS = Column(
    np.int64, merging.SUM, own=True, to_caller=True, of_calls=lambda c: c.has(Flag.MIGRATED).astype(np.int64)
)
MIGRATIONS.name = "migrations"


@settings(max_examples=200, deadline=None)
@given(traces(), st.data())
def test_one_more_column_goes_through_every_pass(trace: Trace, data: st.DataObject) -> None:
    n = len(trace.calls)
    migrated = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
    flags = trace.calls.flags | np.where(migrated, np.uint32(Flag.MIGRATED), np.uint32(0))
    trace = replace(trace, calls=trace.calls.with_columns(flags=flags))
    hide = data.draw(st.sampled_from([[], ["alpha"], ["beta", "gamma"]]))
    merge, limit = data.draw(st.booleans()), data.draw(st.sampled_from([None, 1, 5, 40]))
    with patch.dict(TreeTable.COLUMNS, migrations=MIGRATIONS):
        tree = call_tree(trace, merge=merge, hide=hide).tree
        tree.check()
        # What an outermost call had is its task's where that call is hidden, as its own time is.
        assert hide or (tree.whole("migrations")[tree.kind == NodeKind.TASK] == 0).all()
        folded = fold(tree, FoldOptions(max_rows=limit, min_ns=data.draw(st.sampled_from([None, 0, 3_000]))))
        folded.tree.check()
        counts = [int(table.whole("migrations").sum()) for table in (tree, folded.tree)]
    assert counts == [int(migrated.sum())] * 2


def test_a_tree_says_what_it_cannot_be_made_of() -> None:
    tree = call_tree(trace_of([call("f", 10, call("g", 5))]), root=["f"]).tree
    with pytest.raises(TypeError, match="needs the column parent"):
        TreeTable(tree.labels)
    with pytest.raises(TypeError, match="has no column colour"):
        tree.with_columns(colour=tree.row)
    with pytest.raises(AttributeError, match="with_columns"):
        tree.row = tree.row
    with pytest.raises(AssertionError, match="column row has 1 rows, not 2"):
        tree.with_columns(row=tree.row[:1]).check()
    with pytest.raises(AssertionError, match="dtype of level is int64"):
        tree.with_columns(level=tree.level.astype(np.int64)).check()


def test_a_merged_tree_keeps_the_errors_in_json() -> None:
    register = {-19: 0xFFFFFFED, -22: 0xFFFFFFEA}
    # Two errors equally often: the first one counts; below them only one call failed.
    opened = [
        call("open", 10, call("find", 5, retval=register[-22] if error == -22 else 0), retval=register.get(error, 0))
        for error in (-19, -22, -22, -19, 0)
    ]
    trace = trace_of([call("root", 1, *opened)])
    shown = call_tree(trace, root=["root"], merge=True)
    out = StringIO()
    write_nodes(shown, out)
    nodes = {node["function"]: node for node in json.loads(out.getvalue())}
    told = {name: (node["n_calls"], node["n_errors"], node["error"]) for name, node in nodes.items()}
    assert told == {"root": (1, 0, None), "open": (5, 4, "ENODEV"), "find": (5, 2, "EINVAL")}
    assert [node["error_sure"] for node in nodes.values()] == [False] * 3
    assert shown.tree.error.tolist() == [0, -19, -22]
    assert shown.tree.errors_differ.tolist() == [False, True, False]
    # Hidden below, it is still told above; hidden itself, what is below keeps its own.
    assert call_tree(trace, root=["root"], merge=True, hide=["find"]).tree.n_errors.tolist() == [0, 4]
    assert call_tree(trace, root=["root"], merge=True, hide=["open"]).tree.n_errors.tolist() == [0, 2]


def test_what_is_odd_about_one_call_is_said_of_all_that_it_is_merged_with() -> None:
    cut, jump = int(Flag.CUT_BY_LOSS), int(Flag.DEPTH_JUMP)
    trace = trace_of([call("root", 1, call("f", 5), call("f", 7, flags=cut), call("f", 9, flags=jump))])
    merged = call_tree(trace, root=["root"], merge=True).tree
    assert merged.flags.tolist() == [0, cut | jump]
    # A run is of calls that ended alike; what else is odd is said of all of them.
    folded = fold(call_tree(trace, root=["root"]).tree, FoldOptions(max_rows=None)).tree
    assert folded.flags.tolist() == [0, 0, cut, jump]
    alike = trace_of([call("root", 1, call("f", 5), call("f", 9, flags=jump))])
    assert fold(call_tree(alike, root=["root"]).tree, FoldOptions(max_rows=None)).tree.flags.tolist() == [0, jump]


def test_known_parts_of_bounds() -> None:
    assert known_part(np.array([0, 7, -1, -8])).tolist() == [0, 7, 0, 7]


@settings(max_examples=40)
@given(trace=traces())
def test_two_threads_that_make_a_tree_make_the_same(trace: Trace) -> None:
    tree = call_tree(trace).tree
    counted = patch.object(background, "Worker", wraps=background.Worker)
    with patch.object(background, "_WORTH_BYTES", 0), counted as made:
        again = call_tree(trace).tree
    assert made.call_count == (len(trace.calls) > 0)
    assert again.labels == tree.labels
    for name in TreeTable.COLUMNS:
        assert again.has(name) == tree.has(name)
        assert again.whole(name).dtype == tree.whole(name).dtype
        assert again.whole(name).tolist() == tree.whole(name).tolist(), name
