"""``check()`` names the rule that a table breaks: each rule broken once, in one value, and the values at the edge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builder.tables import call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.trace import Trace


def small() -> Trace:
    """Two lanes: a(b(c), d), e  and  f(g)."""
    first = [call("a", 10, call("b", 20, call("c", 30)), call("d", 40)), call("e", 50)]
    return trace_of(first, [call("f", 60, call("g", 70))])


def changed(calls: CallTable, **values: tuple[int, int]) -> CallTable:
    """The table with ``column=(row, value)`` put in."""
    columns: dict[str, Any] = {}
    for name, (row, value) in values.items():
        columns[name] = getattr(calls, name).copy()
        columns[name][row] = value
    return calls.with_columns(**columns)


A, B, C, D, E, F, G = range(7)
BROKEN: dict[str, tuple[dict[str, tuple[int, int]], str]] = {
    "parent of -2": ({"parent": (A, -2)}, "row 0: parent below -1"),
    "its own parent": ({"parent": (B, B)}, "row 1: parent not before child"),
    "a parent behind": ({"parent": (B, D)}, "row 1: parent not before child"),
    "a parent in another lane": ({"parent": (G, A)}, "row 6: parent in another lane"),
    "a level too deep": ({"level": (C, 3)}, "row 2: level is not the parent's"),
    "a level too high": ({"level": (C, 1)}, "row 2: level is not the parent's"),
    "a root that is deep": ({"level": (E, 1)}, "row 4: a root's level is not 0"),
    "a subtree without its root": ({"end": (E, E)}, "row 4: end outside the table"),
    "a subtree past the table": ({"end": (G, 8)}, "row 6: end outside the table"),
    "a subtree past its parent's": ({"end": (D, 5)}, "row 3: subtree reaches past its parent's"),
    "a subtree that is cut": ({"end": (A, 3)}, "row 3: subtree reaches past its parent's"),
    "an end without a child": ({"end": (E, 6)}, "end and parent disagree"),
    "lanes in disorder": ({"lane": (E, 2)}, "lanes are not one after another"),
    "a duration of -2": ({"duration_ns": (E, -2), "flags": (E, Flag.NO_EXIT)}, "row 4: duration below -1"),
    "a self time of -2": ({"self_ns": (E, -2), "flags": (E, Flag.SELF_UNKNOWN)}, "row 4: self below -1"),
    "a start of -2": ({"start_ns": (E, -2), "flags": (E, Flag.START_UNKNOWN)}, "row 4: start below -1"),
    "no duration, no flag": ({"duration_ns": (E, -1), "self_ns": (E, -1)}, "row 4: unknown duration without NO_EXIT"),
    "no self time, no flag": ({"self_ns": (E, -1)}, "row 4: unknown self without its flag"),
    "no start, no flag": ({"start_ns": (E, -1)}, "row 4: unknown start without its flag"),
    "time from nowhere": ({"self_ns": (B, 21)}, "row 1: duration is not self"),
    "time that is gone": ({"duration_ns": (C, 29), "self_ns": (C, 29)}, "row 1: duration is not self"),
    "a self time over an open child": (
        {"duration_ns": (D, -1), "self_ns": (D, -1), "flags": (D, Flag.NO_EXIT)}, "row 0: ",
    ),
    "a child before its parent": ({"start_ns": (C, 1)}, "row 2: child starts before its parent"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "rule"), BROKEN.values(), ids=BROKEN)
def test_a_call_table_that_breaks_a_rule(values: dict[str, tuple[int, int]], rule: str) -> None:
    calls = small().calls
    calls.check()
    with pytest.raises(AssertionError) as caught:
        changed(calls, **values).check()
    assert rule in str(caught.value)


FINE: dict[str, dict[str, tuple[int, int]]] = {
    "a start of 0": {"start_ns": (A, 0)},
    "a child that starts with its parent": {"start_ns": (B, 1_000_000)},
    "an unknown start, said": {"start_ns": (C, -1), "flags": (C, Flag.START_UNKNOWN)},
    "a child's entry that is not known": {"start_ns": (C, 1), "flags": (C, Flag.NO_ENTRY)},
    "the parent's entry that is not known": {"start_ns": (B, 2_000_000), "flags": (B, Flag.NO_ENTRY)},
    "no time of its own": {"duration_ns": (E, 0), "self_ns": (E, 0)},
    "an unknown self time, said": {"self_ns": (E, -1), "flags": (E, Flag.SELF_UNKNOWN)},
    "a call that has not ended": {"duration_ns": (E, -1), "self_ns": (E, -1), "flags": (E, Flag.NO_EXIT)},
    "an interrupt in the tracer, not subtracted": {"self_ns": (B, 50), "duration_ns": (B, 50), "flags": (C, 8)},
}


@pytest.mark.parametrize("values", FINE.values(), ids=FINE)
def test_what_is_no_fault(values: dict[str, tuple[int, int]]) -> None:
    if "duration_ns" in values and values["duration_ns"][0] == B:
        values = {**values}
        calls = changed(small().calls, **values)
        calls = changed(calls, duration_ns=(A, 10 + 50 + 40))
    else:
        calls = changed(small().calls, **values)
    calls.check()


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [("func", -1, "code outside"), ("func", 8, "code outside"), ("lane", 2, "code outside"), ("func", 7, "")],
)
def test_codes_that_lead_out_of_their_tables(column: str, value: int, rule: str) -> None:
    trace = small()
    assert (len(trace.symbols), len(trace.tasks)) == (8, 2)
    row = G if column == "lane" else E
    calls = changed(trace.calls, **{column: (row, value)})
    if column == "lane":
        calls = changed(calls, lane=(F, value))
    trace = replace(trace, calls=calls)
    if not rule:
        trace.check()
        return
    with pytest.raises(AssertionError, match=rule):
        trace.check()


@pytest.mark.parametrize("table", ["marks", "losses"])
@pytest.mark.parametrize(
    ("row", "lane", "parent", "rule"),
    [
        (0, 0, -1, ""), (7, 1, 6, ""), (-1, -1, -1, ""), (1, 0, 0, ""),
        (8, 0, 0, "mark outside the table"), (-2, 0, -1, "mark outside the table"),
        (1, 2, 0, "mark in no lane"), (1, -2, 0, "mark in no lane"),
        (1, 0, 1, "mark before its parent"), (1, 0, 2, "mark before its parent"),
    ],
)  # fmt: skip
def test_places_that_are_none(table: str, row: int, lane: int, parent: int, rule: str) -> None:
    place = {name: np.array([value], np.int32) for name, value in (("row", row), ("lane", lane), ("parent", parent))}
    time, cpu = np.array([5], np.int64), np.zeros(1, np.int16)
    trace = small()
    if table == "marks":
        trace = replace(
            trace, marks=Marks(time_ns=time, cpu=cpu, name=np.zeros(1, np.int32), names=("x",), text=("",), **place)
        )
    else:
        trace = replace(trace, losses=Losses(time_ns=time, cpu=cpu, n_lost=np.array([3]), **place))
    if not rule:
        trace.check()
        return
    with pytest.raises(AssertionError, match=rule):
        trace.check()


TREES: dict[str, tuple[dict[str, tuple[int, int]], str]] = {
    "its own parent": ({"parent": (1, 1)}, "parent not before child"),
    "a level too deep": ({"level": (2, 3)}, "level is not the parent's"),
    "a node that ends where it begins": ({"end": (3, 3)}, "end outside the table"),
    "a node past the table": ({"end": (3, 5)}, "end outside the table"),
    "a subtree past its parent's": ({"end": (2, 4)}, "subtree reaches past its parent's"),
    "no such label": ({"label": (0, 8)}, "label outside its table"),
    "a label of -1": ({"label": (0, -1)}, "label outside its table"),
}


@pytest.mark.parametrize(("values", "rule"), TREES.values(), ids=TREES)
def test_a_tree_that_breaks_a_rule(values: dict[str, tuple[int, int]], rule: str) -> None:
    tree = call_tree(small(), root=["a"]).tree
    tree.check()
    assert (len(tree), len(tree.labels)) == (4, 8)
    for name, (node, value) in values.items():
        column = np.array(tree.whole(name))
        column[node] = value
        tree = tree.with_columns(**{name: column})
    with pytest.raises(AssertionError, match=rule):
        tree.check()
