"""``show --follow-tree``: each task below the call that made it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.machine import Machine
from builder.tables import call, trace_of
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.fold import FoldOptions
from kfgraph.analyze.made import made_tasks
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable
from kfgraph.render.tree import tree_view
from running import kfgraph as run


def within(machine: Machine, cpu: int, *names: str, ns: int = 100) -> None:
    """Calls in one another, each of so many ns of its own."""
    for name in names:
        machine.enter(cpu, name)
        machine.now += ns
    for _ in names:
        machine.now += ns
        machine.leave(cpu)


def shell(*, with_events: bool = True) -> Machine:
    """sh (11) makes cat (12) in its second kernel_clone, behind a g; cat makes wc (13); 14 is nobody's."""
    m = Machine(names={11: "sh", 12: "cat", 13: "wc", 14: "other"})

    def made(cpu: int, child: int, comm: str) -> None:
        m.enter(cpu, "kernel_clone")
        m.now += 100
        within(m, cpu, "g")
        if with_events:
            m.fork(cpu, child, comm)
        m.now += 10
        within(m, cpu, "f")
        m.leave(cpu)

    m.switch(0, 11)
    within(m, 0, "kernel_clone")
    made(0, 12, "sh")
    m.switch(1, 12)
    within(m, 1, "ksys_read", "f", ns=5_000)
    made(1, 13, "cat")
    m.switch(1, 13)
    within(m, 1, "pipe_read", ns=40_000)
    m.switch(1, 14)
    within(m, 1, "pipe_write")
    within(m, 0, "ksys_read")
    return m


def loaded(machine: Machine, path: Path) -> Trace:
    path.write_bytes(machine.dat())
    trace = kfgraph.load(str(path))
    trace.check()
    return trace


def check_tree(table: TreeTable) -> None:
    """Parents before children, one level above them, subtrees in one another."""
    for node in range(len(table)):
        above, end = int(table.parent[node]), int(table.end[node])
        assert node < end <= len(table)
        assert table.level[node] == (0 if above < 0 else table.level[above] + 1)
        assert -1 <= above < node and (above < 0 or end <= table.end[above])
        if end > node + 1:
            assert table.parent[node + 1] == node


def outline(tree: CallTree) -> list[str]:
    """The labels of all nodes, indented."""
    table = tree.tree
    check_tree(table)
    labels = [table.labels[code] for code in table.label.tolist()]
    return [" " * level + label for level, label in zip(table.level.tolist(), labels, strict=True)]


def test_a_task_stands_where_it_was_made(tmp_path: Path) -> None:
    trace = loaded(shell(), tmp_path / "t.dat")
    found = call_tree(trace, follow_tree=True)
    assert outline(found) == [
        "sh-11", " kernel_clone",
        " kernel_clone", "  g",
        "  cat-12", "   ksys_read", "    f",
        "   kernel_clone", "    g", "    wc-13", "     pipe_read", "    f",
        "  f", " ksys_read",
        "other-14", " pipe_write",
    ]  # fmt: skip
    assert found.n_makers_unknown == 1
    plain = call_tree(trace)
    assert plain.n_makers_unknown is None and len(plain.tree.roots) == 4
    # Each node has what it had: the time of a task is in no total above it.
    order = {label: i for i, label in enumerate(outline(plain))}
    of_row = {int(row): i for i, row in enumerate(plain.tree.row.tolist()) if row >= 0}
    for i, row in enumerate(found.tree.row.tolist()):
        at = of_row[row] if row >= 0 else order[found.tree.labels[found.tree.label[i]]]
        for name in ("total_ns", "self_ns", "floor_ns", "label", "flags"):
            assert getattr(found.tree, name)[i] == getattr(plain.tree, name)[at], name


def test_with_a_root_the_tasks_that_were_made_inside_come_along(tmp_path: Path) -> None:
    trace = loaded(shell(), tmp_path / "t.dat")
    found = call_tree(trace, root="kernel_clone", follow_tree=True)
    # cat's kernel_clone is in the second one: no match of its own.
    assert len(found.matches) == 2 and found.nth.tolist() == [1, 2]
    last = call_tree(trace, root="kernel_clone", nth=2, follow_tree=True)
    assert outline(last) == [
        "kernel_clone", " g", " cat-12", "  ksys_read", "   f", "  kernel_clone", "   g", "   wc-13", "    pipe_read",
        "   f", " f",
    ]  # fmt: skip
    assert len(call_tree(trace, root="kernel_clone").matches) == 3


def test_calls_from_deep_in_a_tree_become_its_roots() -> None:
    """The second one stands behind a first one that is longer than what is above the second."""
    mid = call("beta", 1, call("alpha", 1), call("gamma", 1))
    trace = trace_of([call("outer", 1, call("alpha", 1, *[call("gamma", 1)] * 5), mid)])
    for root in ("alpha", "beta", "gamma"):
        found, plain = (call_tree(trace, root=root, follow_tree=follow) for follow in (True, False))
        assert outline(found) == outline(plain)
        assert found.tree.parent.tolist() == plain.tree.parent.tolist()


def test_it_can_be_merged_and_hidden(tmp_path: Path) -> None:
    trace = loaded(shell(), tmp_path / "t.dat")
    merged = outline(call_tree(trace, follow_tree=True, merge=True))
    assert "  cat-12" in merged and "    wc-13" in merged and merged.count(" kernel_clone") == 1
    hidden = outline(call_tree(trace, follow_tree=True, hide="kernel_clone"))
    assert hidden[:5] == ["sh-11", " g", " cat-12", "  ksys_read", "   f"]


def test_without_events_the_returned_pid_tells() -> None:
    made = [call("kernel_clone", 10, call("f", 10), retval=101), call("kernel_clone", 10, retval=-11 & (1 << 64) - 1)]
    tasks = [Task(100, "sh"), Task(101, "ls"), Task(102, "x")]
    trace = trace_of(made, [call("ksys_read", 10_000)], [call("ksys_read", 10)], tasks=tasks)
    assert [tuple(one) for one in made_tasks(trace)] == [(1, 0, 0, 2)]
    found = call_tree(trace, follow_tree=True)
    assert outline(found) == [
        "sh-100", " kernel_clone", "  f", "  ls-101", "   ksys_read", " kernel_clone", "x-102", " ksys_read"
    ]  # fmt: skip
    # A pid that was there before is another task's.
    early = trace_of([call("ksys_read", 10)], made, tasks=[Task(101, "old"), Task(100, "sh")])
    calls = early.calls
    later = np.where(calls.lane == 1, calls.start_ns + 5_000_000, calls.start_ns)
    assert made_tasks(replace(early, calls=calls.with_columns(start_ns=later))) == []


def test_records_that_contradict_one_another_make_no_circle(tmp_path: Path) -> None:
    m = Machine(names={11: "a", 12: "b"})
    m.switch(0, 11)
    m.switch(1, 12)
    for cpu, child in ((0, 12), (1, 11)):
        m.enter(cpu, "kernel_clone")
        m.fork(cpu, child)
        m.now += 10
        m.leave(cpu)
    trace = loaded(m, tmp_path / "t.dat")
    assert outline(call_tree(trace, follow_tree=True)) == ["b-12", " kernel_clone", "  a-11", "   kernel_clone"]


def test_what_the_innermost_call_made_stands_in_it(tmp_path: Path) -> None:
    """Whichever of the tasks made around its end ran first."""
    for first, second in ((11, 12), (12, 11)):
        m = Machine(n_cpus=1, names={pid: f"t{pid}" for pid in (10, 11, 12)})
        m.switch(0, 10)
        m.enter(0, "kernel_clone")
        m.fork(0, 11)
        m.now += 50
        m.leave(0)
        m.fork(0, 12)
        for pid in (first, second):
            m.now += 50
            m.switch(0, pid, 256)
            m.enter(0, "f")
        found = call_tree(loaded(m, tmp_path / "t.dat"), follow_tree=True)
        assert outline(found) == ["t10-10", " kernel_clone", "  t11-11", "   f", " t12-12", "  f"], first


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["enter", "leave", "fork", "switch"])), max_size=60))
def test_every_call_is_there_once(tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, str]]) -> None:
    m = Machine(n_cpus=1, names={pid: f"t{pid}" for pid in range(10, 30)})
    m.switch(0, 10)
    pids, open_ = [10], {10: 0}
    for number, what in actions:
        m.now += 50
        here = m.running[0]
        if what == "enter":
            m.enter(0, ("kernel_clone", "f", "g")[number % 3])
            open_[here] += 1
        elif what == "leave" and open_[here]:
            m.leave(0)
            open_[here] -= 1
        elif what == "fork" and len(pids) < 15:
            pids.append(10 + len(pids))
            open_[pids[-1]] = 0
            m.fork(0, pids[-1])
        elif what == "switch":
            m.switch(0, pids[number % len(pids)], 256)
    trace = loaded(m, tmp_path_factory.getbasetemp() / "tree.dat")
    if not len(trace.calls):
        return
    found, plain = call_tree(trace, follow_tree=True), call_tree(trace)
    outline(found)
    assert sorted(found.tree.row.tolist()) == sorted(plain.tree.row.tolist())
    calls, tree = trace.calls, found.tree
    for node, row in enumerate(tree.row.tolist()):
        above = int(tree.parent[node])
        if row >= 0 and calls.parent[row] >= 0:
            assert tree.row[above] == calls.parent[row]
        elif row >= 0:
            assert tree.kind[above] == (NodeKind.TASK if tree.parent[above] < 0 else NodeKind.MADE)
            assert found.tree.label[above] - len(trace.symbols) == calls.lane[row]
        elif above >= 0:
            # The maker was there before it.
            first = calls.start_ns[tree.row[node + 1]]
            top = above
            assert tree.row[top] < 0 or calls.start_ns[tree.row[top]] <= first


def test_the_screen_shows_made_tasks_whatever_their_makers_took(tmp_path: Path) -> None:
    path = tmp_path / "t.dat"
    trace = loaded(shell(), path)
    text = "".join(tree_view(call_tree(trace, follow_tree=True), FoldOptions(max_rows=6)).plain())
    rows = [line.split("  ", 3)[-1] for line in text.splitlines()]
    assert any("├ task sh → cat-12" in row for row in rows) and any("task cat → wc-13" in row for row in rows)
    # It is no callee, and so not the slowest one.
    assert "▸task" not in text
    assert "nothing tells which call made 1 task: below no call" in text
    code, out, err = run("show", path, "--follow-tree")
    assert (code, "task sh → cat-12" in out) == (0, True), err
    code, out, err = run("show", path, "--follow-tree", "--root", "kernel_clone", "--nth", "2")
    assert (code, "task cat → wc-13" in out) == (0, True), err
    code, out, err = run("show", path, "--follow-tree", "--json")
    assert code == 0 and "--follow-tree does nothing with --json" in err
    assert {json.loads(line)["function"] for line in out.splitlines()} >= {"kernel_clone", "pipe_read"}
