"""The page's program outside of a browser: what Python packs comes back to the bit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kfgraph
from builder.tables import call, deep, trace_of, traces, wide
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.forest import covered
from kfgraph.analyze.limited import Limiter
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind
from kfgraph.render.html.nodes import add_nodes
from kfgraph.render.html.pack import Pack, planes_of, zigzag

ENODEV = -19 & 0xFFFFFFFF
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


def test_the_modules_pass_their_own_tests(program: Callable[[str, str], str]) -> None:
    node = program("node", "nodejs")
    done = subprocess.run([node, "--test", str(HERE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "# pass 23" in done.stdout and "# fail 0" in done.stdout


def test_planes_are_as_many_as_the_largest_value_needs() -> None:
    assert planes_of(np.array([1, 256, 0])) == [b"\x01\x00\x00", b"\x00\x01\x00"]
    assert planes_of(np.array([0, 0])) == []
    assert planes_of(np.array([], np.int64)) == []
    assert zigzag(np.array([0, -1, 1, -(1 << 62)])).tolist() == [0, 1, 2, (1 << 63) - 1]


def restored(tree: CallTree, folder: Path, node: str) -> dict[str, Any]:
    pack = Pack({})
    add_nodes(pack, tree)
    file = folder / "columns.gz"
    file.write_bytes(pack.compressed())
    done = subprocess.run([node, str(HERE / "restored.mjs"), str(file)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def check(trace: Trace, folder: Path, node: str, **filters: Any) -> None:
    """All columns as the tree has them."""
    shown = call_tree(trace, **filters)
    tree, calls = shown.tree, trace.calls
    found = restored(shown, folder, node)
    is_call = tree.kind == NodeKind.CALL if tree.has("kind") else np.ones(len(tree), np.bool_)
    for name, column in (("parent", tree.parent), ("end", tree.end), ("level", tree.level), ("total", tree.total_ns),
                         ("floor", tree.floor_ns)):  # fmt: skip
        assert found[name] == column.tolist(), name
    assert np.array(found["self"])[is_call].tolist() == tree.self_ns[is_call].tolist()
    lasted = np.where(calls.duration_ns >= 0, calls.duration_ns, 0)[tree.row[is_call]]
    known_span = calls.duration_ns[tree.row[is_call]] >= 0
    assert np.array(found["span"])[is_call][known_span].tolist() == lasted[known_span].tolist()
    assert ("tracer" in found) == tree.has("tracer_ns") == filters.get("compensate", False)
    for name in ("tracer", "uncertain"):
        assert found.get(name, []) == (tree.whole(f"total_{name}_ns").tolist() if name in found else [])
    irqs = tree.kind == NodeKind.INTERRUPT
    errors = tree.whole("error") != 0
    within = [[i, int(tree.n_interrupts[i]), int(errors[i : tree.end[i]].sum())] for i in np.flatnonzero(irqs).tolist()]
    assert found["interrupts"] == within
    n_above = covered(np.flatnonzero(irqs).astype(np.int32), tree.end[irqs], len(tree)) - irqs
    assert found["depth"] == (tree.level - n_above).tolist()
    first = np.array([i + int(np.argmax(is_call[i:])) for i in np.flatnonzero(irqs)], np.int64)
    assert np.array(found["start"])[irqs].tolist() == np.array(found["start"])[first].tolist(), "with its first call"
    n_calls = np.where(is_call, tree.at("count", slice(None)), 0)
    assert found["callsIn"] == [int(n_calls[i:end].sum()) for i, end in enumerate(tree.end.tolist())]
    names = found["head"]["names"]
    assert [names[label] for label in found["label"]] == tree.label.tolist()
    rows = tree.row[is_call]
    start = np.array(found["start"])[is_call] + found["head"]["origin_ns"]
    known = calls.start_ns[rows] >= 0
    assert start[known].tolist() == calls.start_ns[rows][known].tolist()
    unknown = (np.array(found["flags"], np.int64)[is_call] & Flag.START_UNKNOWN) != 0
    assert unknown.tolist() == (~known).tolist()
    kept = ~np.uint32(Flag.HAS_RETVAL | Flag.SELF_UNKNOWN)
    assert np.array(found["flags"], np.int64)[is_call].tolist() == (tree.flags[is_call] & kept).tolist()
    context = np.where(calls.context[rows] == 255, 4, calls.context[rows])
    assert np.array(found["context"], np.int64)[is_call].tolist() == context.tolist()
    assert (np.array(found["cpu"], np.int64)[is_call] - 1).tolist() == calls.cpu[rows].tolist()
    for kind in ("asleep", "preempted", "irq"):
        ns = tree.whole(f"total_{kind}_ns")
        assert found[kind] == [[node, int(ns[node])] for node in np.flatnonzero(ns).tolist()]
    if tree.has("error"):
        at = np.flatnonzero(tree.error).tolist()
        assert found["errors"] == [[i, int(tree.error[i]), bool(tree.error_sure[i])] for i in at]
    else:
        assert found["errors"] == []


SMALL = {
    "nested": lambda: trace_of([call("a", 5, call("b", 7, call("c", 1)), call("b", 3)), call("d", 2)], [call("a", 9)]),
    "unfinished": lambda: trace_of(
        [call("a", 5, call("b", 7, unfinished=True), call("c", 3)), call("a", 1, call("b"), unfinished=True)]
    ),
    "failed": lambda: trace_of([call("vfs_open", 5, call("b", 7, retval=ENODEV), call("c", 3), retval=ENODEV)]),
    "one call": lambda: trace_of([call("f", 1_000)]),
    "2,000 levels": lambda: deep(2_000),
    "70,000 siblings": lambda: wide(70_000),
    "long": lambda: trace_of([call("f", 1 << 52, call("g", 3)), call("h", 1)]),
}


@pytest.mark.parametrize("shape", SMALL)
def test_a_tree_comes_back(shape: str, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    check(SMALL[shape](), tmp_path, program("node", "nodejs"))


@pytest.mark.parametrize(
    ("example", "filters"),
    [
        ("examples/insmod-foo-fail19.dat", {}),
        ("examples/insmod-foo-fail19.dat", {"root": "foo_probe_slot"}),
        ("examples/cat-enoent.dat", {"no_irq": True}),
        ("examples/cat-enoent.dat", {"failing": True}),
        ("examples/cat-enoent.dat", {"group_interrupts": True, "compensate": True}),
        ("examples/insmod-foo-fail19.dat", {"no_irq": True, "compensate": True}),
        ("examples/cat-enoent.dat", {"group_interrupts": True}),
        ("tests/fixtures/traces/cut/6.12-thresh.dat", {"group_interrupts": True, "all_tasks": True}),
        ("tests/fixtures/traces/cut/s390x-lossy.dat", {"group_interrupts": True, "all_tasks": True}),
        ("examples/insmod-lossy.report.txt.xz", {}),
        ("tests/fixtures/traces/cut/i386-lossy.dat", {"all_tasks": True}),
    ],
)
def test_a_real_trace_comes_back(
    example: str, filters: dict[str, Any], tmp_path: Path, program: Callable[[str, str], str]
) -> None:
    check(kfgraph.load(REPOSITORY / example), tmp_path, program("node", "nodejs"), **filters)


@given(trace=traces())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_tree_comes_back(trace: Trace, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    check(trace, tmp_path, program("node", "nodejs"))


def test_time_off_the_cpu_comes_back(tmp_path: Path, program: Callable[[str, str], str]) -> None:
    trace = kfgraph.load(REPOSITORY / "tests/fixtures/traces/cut/7.2-syscalls.dat")
    assert trace.calls.asleep_ns is not None and len(trace.calls.asleep_ns) == 2
    check(trace, tmp_path, program("node", "nodejs"))


@given(trace=traces(), most=st.integers(0, 10))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_sums_come_back(trace: Trace, most: int, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    whole = call_tree(trace)
    tree = Limiter(whole.tree, np.zeros(0, np.int32), single=(1,)).limited(most).tree
    found = restored(replace(whole, tree=tree), tmp_path, program("node", "nodejs"))
    kind = tree.at("kind", slice(None))
    is_call = (kind != NodeKind.TASK) & (kind != NodeKind.INTERRUPT)
    for name in ("parent", "end", "total", "floor"):
        column = tree.whole(name if name in ("parent", "end") else f"{name}_ns")
        assert found[name] == column.tolist(), name
    assert np.array(found["self"])[is_call].tolist() == tree.self_ns[is_call].tolist()
    sums = np.flatnonzero(is_call & (tree.count != 1))
    told = zip(*(tree.at(name, sums).tolist() for name in ("count", "min_ns", "max_ns")), strict=True)
    assert found["sums"] == [[i, *one] for i, one in zip(sums.tolist(), told, strict=True)]
    calls = np.where(is_call, tree.count, 0)
    assert found["callsIn"] == [int(calls[i:end].sum()) for i, end in enumerate(tree.end.tolist())]
    single = is_call & (tree.count == 1) & (tree.row >= 0)
    start = np.array(found["start"])[single] + found["head"]["origin_ns"]
    known = trace.calls.start_ns[tree.row[single]] >= 0
    assert start[known].tolist() == trace.calls.start_ns[tree.row[single]][known].tolist()
    assert not np.array(found["cpu"])[sums].any(), "a sum was on no CPU of its own"


@pytest.mark.parametrize("most", [20_000, 3_000, 500])
def test_interrupts_in_sums_come_back(most: int, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    whole = call_tree(kfgraph.load(REPOSITORY / "examples/cat-enoent.dat"), group_interrupts=True)
    limited = Limiter(whole.tree, np.zeros(0, np.int32)).limited(most)
    tree = limited.tree
    tree.check()
    irqs = np.flatnonzero(tree.kind == NodeKind.INTERRUPT)
    before = whole.tree.kind == NodeKind.INTERRUPT
    assert 0 < len(irqs) <= before.sum() == 50
    found = restored(replace(whole, tree=tree), tmp_path, program("node", "nodejs"))
    assert [found["total"][i] for i in irqs] == tree.total_ns[irqs].tolist()
    assert [n for _, n, _ in found["interrupts"]] == tree.n_interrupts[irqs].tolist()
    # A sum says no more than the interrupts in it: of one that did not end the least is known.
    of = limited.node_of[before]
    unknown = np.zeros(len(tree), np.bool_)
    unknown[of[whole.tree.total_ns[before] < 0]] = True
    assert (tree.total_ns[irqs[unknown[irqs]]] == -1).all()
    for name in ("floor_ns", "n_interrupts"):
        sums = np.zeros(len(tree), np.int64)
        np.add.at(sums, of, whole.tree.whole(name)[before])
        assert tree.whole(name)[irqs].tolist() == sums[irqs].tolist(), name
    assert (np.isin(of, irqs) | (tree.kind[of] == NodeKind.REST)).all(), "each is a row, in a sum, or left out"
