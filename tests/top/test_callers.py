"""``top --callers``: the callers of its functions, by the time that top sorts by."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import kfgraph as library
from builder.tables import call, trace_of, traces
from kfgraph.analyze.callers import callers, callers_in
from kfgraph.analyze.select import select
from kfgraph.model.tasks import Task
from running import kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TRACE = str(EXAMPLES / "cat-enoent.dat")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def trees(out: str) -> dict[str, list[str]]:
    """Title -> heading, rows and hint of each tree below the table."""
    found = {}
    for part in out.split("\n\n"):
        title, *lines = part.splitlines()
        if title.endswith(", by their callers"):
            found[title.partition(" of ")[2].removesuffix(", by their callers")] = lines
    return found


@settings(deadline=None, max_examples=60)
@given(traces())
def test_the_own_time_of_a_function_is_that_of_its_callers(trace) -> None:
    chosen = select(trace)
    result = library.top(trace)
    for code in np.unique(trace.calls.func).tolist():
        label = trace.symbols.label(code)
        wanted = np.array([one == label for one in trace.symbols.labels])
        tree = callers_in(chosen, wanted, of="self").tree
        tree.check()
        # In tasks, and in interrupts.
        rows = [i for i, one in enumerate(result.labels) if one == label]
        of_root = np.maximum(result.numbers.self_ns[rows], 0).sum()
        assert tree.floor_ns[tree.roots].sum() == of_root
        for node in range(len(tree)):
            below = np.flatnonzero(tree.parent == node)
            assert not len(below) or tree.floor_ns[below].sum() == tree.floor_ns[node]
            assert not len(below) or tree.count[below].sum() == tree.count[node]


def test_shares_are_of_the_own_time_unless_sorted_by_another() -> None:
    args = ("top", TRACE, "--callers", "slab_free.isra.0")
    root, caller, *_ = trees(kfgraph(*args)[1])["slab_free.isra.0"][1:]
    assert root.split()[:8] == ["#", "2.732", "ms", "5.175", "us", "100.0%", "528", "slab_free.isra.0"]
    assert caller.split() == ["#", "1.690", "ms", "5.264", "us", "61.8%", "321", "├▸kmem_cache_free"]
    assert trees(kfgraph(*args)[1])["slab_free.isra.0"][0].split()[0] == "self"
    shown = trees(kfgraph(*args, "--by", "total")[1])["slab_free.isra.0"]
    alike = kfgraph("show", TRACE, "--callers", "slab_free.isra.0", "--max-rows", "40")[1].splitlines()
    assert shown[:9] == alike[1:10] and shown[0].split()[0] == "total"


def test_without_a_name_each_function_of_the_table_has_its_callers() -> None:
    # Three of work, one that waits, one of interrupts.
    expected = [
        "queued_spin_lock_slowpath", "__zap_vma_range", "_raw_spin_unlock_irqrestore", "schedule",
        "default_send_IPI_single_phys",
    ]  # fmt: skip
    forms = [
        ("top", TRACE, "--limit", "3", "--callers"), ("top", "--callers", TRACE, "--limit", "3"),
        ("top", "--callers", "--limit", "3", TRACE), ("top", "--limit", "3", TRACE, "--callers", "*"),
    ]  # fmt: skip
    for words in forms:
        code, out, _ = kfgraph(*words)
        assert code == 0 and list(trees(out)) == expected, words
        assert out.startswith(kfgraph("top", TRACE, "--limit", "3")[1])
    data = json.loads(kfgraph(*forms[0], "--json")[1])
    roots = [node["function"] for node in data["callers"] if node["parent"] is None]
    assert sorted(roots) == sorted(expected)


def test_a_function_beyond_the_table_and_a_glob() -> None:
    code, out, _ = kfgraph("top", TRACE, "--limit", "2", "--callers", "kfree", "--callers", "vfs_open*")
    assert code == 0 and list(trees(out)) == ["kfree", "vfs_open"]
    code, _, err = kfgraph("top", TRACE, "--callers", "kfre")
    assert code == 6 and "did you mean kfree" in err
    code, _, err = kfgraph("top", TRACE, "--callers", "--group", "module")
    assert code == 2 and "--callers is of functions, not of modules" in err


def test_what_is_not_shown_is_shown_by_the_command_that_it_names() -> None:
    words = ("--callers", "slab_free.isra.0", "--no-irq", "--task", "cat")
    code, out, _ = kfgraph("top", TRACE, *words)
    (hint,) = [line for line in trees(out)["slab_free.isra.0"] if "not shown" in line]
    n_hidden, n_rows = (int(word.replace(",", "")) for word in hint.split()[:3:2])
    command = hint.partition("to see them: kfgraph ")[2].split()
    assert command[:4] == ["show", TRACE, "--callers", "slab_free.isra.0"]
    assert command[4:] == ["--task", "cat", "--no-irq", "--min", "0"]
    code, out, _ = kfgraph(*command)
    assert code == 0 and len([line for line in out.splitlines() if "│" in line or "├" in line]) == n_rows - 1
    assert 0 < n_hidden < n_rows


def test_the_json_and_csv_have_every_node_with_both_times() -> None:
    out = kfgraph("top", TRACE, "--callers", "kfree", "--json", "--limit", "1")[1]
    nodes = json.loads(out)["callers"]
    assert nodes == json.loads(kfgraph("show", TRACE, "--callers", "kfree", "--json")[1])
    assert (nodes[0]["self_ns"], nodes[0]["total_ns"], nodes[0]["n_calls"]) == (684302, 5827796, 212)
    rows = list(csv.DictReader(io.StringIO(kfgraph("top", TRACE, "--callers", "kfree", "--csv")[1])))
    assert [int(row["node"]) for row in rows] == [node["node"] for node in nodes]
    assert [row["function"] for row in rows] == [node.get("function", "") for node in nodes]
    assert {row["task"] for row in rows if not row["function"]} == {"cat-122"}
    assert [int(row["self_ns"]) for row in rows] == [node["self_ns"] for node in nodes]
    assert "callers" not in json.loads(kfgraph("top", TRACE, "--json")[1])


def test_an_own_time_that_is_not_known_is_no_part_of_the_sum() -> None:
    cut = call("f", 7, call("g", 2, unfinished=True))
    trace = trace_of([call("a", 10, call("f", 5)), call("a", 10, cut)], tasks=[Task(7, "cat")])
    tree = callers_in(select(trace), np.array([name == "f" for name in trace.symbols.labels]), of="self").tree
    assert (tree.floor_ns.tolist(), tree.count.tolist(), tree.n_unfinished.tolist()) == ([5] * 3, [2] * 3, [1] * 3)
    assert callers(trace, "f").tree.total_ns.tolist() == [14] * 3


def test_what_was_asked_for_by_name_stands_before_the_table() -> None:
    table = "943 functions, 31,963 calls"
    code, out, _ = kfgraph("top", TRACE, "--callers", "kfree", "--callers", "vfs_open")
    assert code == 0
    assert out.count(table) == 1 and 0 < out.index(" kfree") < out.index(" vfs_open") < out.index(table)
    assert "calls of kfree, by their callers" in out.splitlines()[0]
    code, out, _ = kfgraph("top", TRACE, "--limit", "2", "--callers")
    assert code == 0 and out.startswith(table) and "by their callers" in out
