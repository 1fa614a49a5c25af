"""``show --callers``: the tree upside down against sums made one call at a time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from builder.tables import call, trace_of, traces
from kfgraph.analyze.callers import callers
from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.fold import Kind, fold
from kfgraph.analyze.select import select
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.errors import NoMatchError
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind
from kfgraph.parse import load
from running import kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Paths = dict[tuple[str, ...], tuple[int, int]]


def naive(trace: Trace, function: str, **filters) -> Paths:
    """(calls, ns of the outermost ones) of each way up from the function."""
    chosen = select(trace, **filters)
    n_calls: Counter[tuple[str, ...]] = Counter()
    ns: Counter[tuple[str, ...]] = Counter()
    for row in np.flatnonzero(chosen.keep).tolist():
        way, at, is_inner = [], row, False
        while at >= 0:
            way.append(trace.symbols.label(int(trace.calls.func[at])))
            at = int(chosen.parent[at])
            is_inner |= at >= 0 and trace.calls.func[at] == trace.calls.func[row] and chosen.total_ns[at] >= 0
        if way[0] != function:
            continue
        if not chosen.named:
            way.append(trace.tasks[int(trace.calls.lane[row])].label)
        for n in range(1, len(way) + 1):
            n_calls[tuple(way[:n])] += 1
            ns[tuple(way[:n])] += 0 if is_inner else max(int(chosen.total_ns[row]), 0)
    return {way: (n, ns[way]) for way, n in n_calls.items()}


def paths_of(shown: CallTree) -> Paths:
    tree, found = shown.tree, {}
    tree.check()
    way: list[str] = []
    for node in range(len(tree)):
        del way[int(tree.level[node]) :]
        way.append(tree.labels[int(tree.label[node])])
        found[tuple(way)] = int(tree.count[node]), max(int(tree.total_ns[node]), 0)
        assert (tree.kind[node] == NodeKind.TASK) == (tree.label[node] >= len(shown.trace.symbols))
    assert len(found) == len(tree)
    return found


@settings(deadline=None, max_examples=80)
@given(traces())
def test_every_way_up_has_its_calls_and_its_time(trace) -> None:
    for label in {trace.symbols.label(code) for code in trace.calls.func.tolist()}:
        # A plain name is also that of functions in modules.
        found = {way: sums for way, sums in paths_of(callers(trace, label)).items() if way[0] == label}
        assert found == naive(trace, label)


@pytest.mark.parametrize(
    ("function", "filters"),
    [("kfree", {}), ("schedule", {}), ("kmem_cache_free", {"root": ["ksys_read", "do_sys_openat2"]})],
)
def test_a_real_trace(function, filters) -> None:
    trace = load(EXAMPLES / "cat-enoent.dat")
    found = paths_of(callers(trace, function, **filters))
    assert found == naive(trace, function, **filters) and len(found) > 20


def test_what_is_below_a_node_is_all_of_it() -> None:
    shown = callers(load(EXAMPLES / "cat-enoent.dat"), "kfree")
    tree = shown.tree
    for column in (tree.count, tree.total_ns):
        below = np.zeros(len(tree), np.int64)
        child = tree.parent >= 0
        np.add.at(below, tree.parent[child], column[child])
        calls = tree.kind == NodeKind.CALL
        assert below[calls].tolist() == column[calls].tolist()


def test_inner_calls_of_a_recursion_count_and_take_no_time() -> None:
    trace = trace_of([call("a", 10, call("f", 5, call("f", 3), call("g", 1, call("f", 2))))], tasks=[Task(7, "cat")])
    assert paths_of(callers(trace, "f")) == {
        ("f",): (3, 11), ("f", "a"): (1, 11), ("f", "a", "cat-7"): (1, 11), ("f", "f"): (1, 0), ("f", "f", "a"): (1, 0),
        ("f", "f", "a", "cat-7"): (1, 0), ("f", "g"): (1, 0), ("f", "g", "f"): (1, 0), ("f", "g", "f", "a"): (1, 0),
        ("f", "g", "f", "a", "cat-7"): (1, 0),
    }  # fmt: skip
    tree = callers(trace, "f").tree
    assert (int(tree.min_ns[0]), int(tree.max_ns[0])) == (2, 11)


def test_an_open_call_is_at_least_what_is_known_in_it() -> None:
    trace = trace_of([call("a", 10, call("f", 5, call("g", 7), unfinished=True))], tasks=[Task(7, "cat")])
    tree = callers(trace, "f").tree
    assert tree.total_ns.tolist() == [-1, -1, -1] and tree.floor_ns.tolist() == [7, 7, 7]
    assert tree.n_unfinished.tolist() == [1, 1, 1]


def test_errors_and_flags_are_those_of_the_function_not_of_its_callers() -> None:
    tree = callers(load(EXAMPLES / "insmod-foo-fail19.dat"), "foo_read_id").tree
    assert tree.error.tolist() == [-19] + [0] * 7 and tree.n_errors.tolist() == [1] + [0] * 7
    assert (tree.flags[1:] == 0).all() and tree.flags[0] != 0


def test_what_is_hidden_is_counted_in_calls_of_the_function() -> None:
    shown = callers(load(EXAMPLES / "cat-enoent.dat"), "kfree")
    folded = fold(shown.tree, FoldOptions(depth=1))
    at_level = folded.level == 1
    assert int(folded.hidden_calls[at_level].sum()) == 212 == int(folded.tree.count[folded.node[at_level]].sum())
    folded = fold(shown.tree, FoldOptions(max_rows=30))
    for row in np.flatnonzero(folded.kind == Kind.REST).tolist():
        assert 0 < folded.hidden_calls[row] < 212


def test_the_command(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = kfgraph("show", EXAMPLES / "insmod-foo-fail19.dat", "--callers", "foo_read_id")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "3 calls of foo_read_id [foo], by their callers"
    assert lines[1].split() == ["total", "average", "share", "calls", "function"]
    assert lines[2].endswith(" 3  foo_read_id [foo] = -19 ENODEV × 1") and lines[9].endswith("▸insmod-116")
    args = ("--callers", "kfree", "--depth", "1", "--slowest", "3")
    code, out, err = kfgraph("show", EXAMPLES / "cat-enoent.dat", *args)
    assert "--slowest does nothing with --callers" in err
    assert "rows not shown: --depth 2 goes deeper" in out
    code, _, err = kfgraph("show", EXAMPLES / "cat-enoent.dat", "--callers", "kfre")
    assert code == 6 and "did you mean kfree" in err


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(NoMatchError, match="no call of 'nothing'"):
        callers(load(EXAMPLES / "cat-enoent.dat"), "nothing")


def test_a_library_user_has_it_too() -> None:
    import kfgraph

    shown = kfgraph.callers(load(EXAMPLES / "insmod-foo-fail19.dat"), "foo_read_id")
    assert str(shown).startswith("3 calls of foo_read_id [foo], by their callers\n")
    assert shown.to_pandas()["n_calls"].tolist() == [3] * 8
