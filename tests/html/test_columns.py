"""The columns of a page, read back as app/decode.mjs and app/tree.mjs do, are the tree that was written."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import kfgraph
from builder.tables import Call, call, trace_of, traces
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.top import top
from kfgraph.analyze.why import why
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind
from kfgraph.render.html.nodes import add_nodes, nodes_of_rows
from kfgraph.render.html.pack import Pack, planes_of, zigzag
from kfgraph.render.html.page import Report, page

CUT = Path(__file__).resolve().parents[1] / "fixtures" / "traces" / "cut"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HIDDEN = int(Flag.HAS_RETVAL | Flag.SELF_UNKNOWN)


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """(the head, the columns by name) of a page's data."""
    raw = gzip.decompress(data)
    (length,) = struct.unpack("<I", raw[:4])
    head, at, columns = json.loads(raw[4 : 4 + length]), 4 + length, {}
    for name, n, n_planes, signed in head["columns"]:
        values = [0] * n
        for k in range(n_planes):
            values = [value | byte << 8 * k for value, byte in zip(values, raw[at : at + n], strict=True)]
            at += n
        columns[name] = [(value >> 1) ^ -(value & 1) for value in values] if signed else values
    assert at == len(raw)
    return head, columns


def sparse(columns: dict[str, list[int]], name: str) -> dict[int, int]:
    return dict(zip(np.cumsum(columns[f"{name}.at"]).tolist(), columns[name], strict=True))


class Read:
    """The nodes that the columns tell: parents, starts (from the origin), totals (-1: not known) and self times."""

    def __init__(self, columns: dict[str, list[int]], flags: Sequence[int]) -> None:
        self.gap, self.tail = columns["gap"], columns["tail"]
        self.open = set(np.cumsum(columns["open.at"]).tolist())
        n = len(self.gap)
        self.parent, self.children = [-1] * n, {at: list[int]() for at in range(-1, n)}
        above: list[int] = []
        for at, pops in enumerate(columns["pops"]):
            del above[len(above) - pops :]
            self.parent[at] = above[-1] if above else -1
            self.children[self.parent[at]].append(at)
            above.append(at)
        self.start, self.total = [0] * n, [-1] * n
        self._end_of_last(-1, 0)
        told = sparse(columns, "self")
        self.self_ns = [told[at] - 1 if at in told else self._own(at, flags) for at in range(n)]

    def _end_of_last(self, above: int, start: int) -> int:
        for at in self.children[above]:
            begin = self.start[at] = start + self.gap[at]
            inside = self._end_of_last(at, begin)
            if at not in self.open:
                self.total[at] = inside + self.tail[at] - begin
            start = inside if at in self.open else begin + self.total[at]
        return start

    def _own(self, at: int, flags: Sequence[int]) -> int:
        below = [self.total[child] for child in self.children[at] if not flags[child] & Flag.IN_TRACER]
        return self.total[at] - sum(below) if self.total[at] >= 0 and -1 not in below else -1


def begins(shown: CallTree) -> list[int]:
    """When each node began: a task with its first call, one whose start is not known as the one before it."""
    tree, found = shown.tree, []
    is_call, before = tree.kind == NodeKind.CALL, 0
    starts = shown.trace.calls.start_ns
    for at in range(len(tree)):
        first = at if is_call[at] else at + 1
        told = int(starts[tree.row[first]]) if first < len(tree) and first < tree.end[at] else -1
        before = told if told >= 0 else before
        found.append(before)
    return found


def agrees(shown: CallTree) -> None:
    tree, calls = shown.tree, shown.trace.calls
    pack = Pack({})
    add_nodes(pack, shown)
    node_of = nodes_of_rows(shown)
    head, columns = unpacked(pack.compressed())
    assert head["n"] == len(tree)
    labels = [head["names"][label] for label in columns["label"]]
    assert labels == tree.label.tolist()
    counts = [labels.count(label) for label in head["names"]]
    assert counts == sorted(counts, reverse=True) and 0 not in counts
    is_call = (tree.kind == NodeKind.CALL).tolist()
    flags = [int(flag) & ~HIDDEN if one else 0 for flag, one in zip(tree.flags.tolist(), is_call, strict=True)]
    assert columns["flags"] == flags
    read = Read(columns, flags)
    assert read.parent == tree.parent.tolist()
    start = begins(shown)
    assert head["origin_ns"] == min(start, default=0)
    assert [at + head["origin_ns"] for at in read.start] == start
    assert read.total == tree.total_ns.tolist()
    rows = tree.row.tolist()
    told = [own for own, one in zip(read.self_ns, is_call, strict=True) if one]
    assert told == tree.self_ns[is_call].tolist()
    span, error = sparse(columns, "span"), sparse(columns, "error") if "error" in columns else {}
    for at, row in enumerate(rows):
        if not is_call[at]:
            assert (columns["context"][at], columns["cpu"][at]) == (0, 0) and at not in span
            continue
        context = int(calls.context[row])
        assert columns["context"][at] == (4 if context == UNKNOWN_CONTEXT else context)
        assert columns["cpu"][at] - 1 == calls.cpu[row]
        lasted = int(calls.duration_ns[row])
        longer = lasted - tree.floor_ns[at] - tree.total_tracer_ns[at]
        assert span.get(at) == (longer if lasted >= 0 and longer else None)
        assert node_of[row] == at
        if tree.has("error"):
            code = error.get(at, 0)
            assert (-(code >> 1), bool(code & 1)) == (tree.error[at], bool(tree.at("error_sure", at)))
    assert (node_of >= 0).sum() == sum(is_call)


@settings(max_examples=60, deadline=None)
@given(traces())
def test_random_trees_are_read_back(trace: Trace) -> None:
    agrees(call_tree(trace))


def odd() -> list[list[Call]]:
    hit = call("irq", 400, call("tick", 30, context=2), context=2, flags=int(Flag.IN_TRACER))
    late = call("f", 10, call("open", 3, call("leaf", 70_000), unfinished=True), call("g", 9, cpu=3), hit)
    failed = call("init", 5, call("probe", 7, retval=(1 << 32) - 22), retval=(1 << 32) - 22, context=UNKNOWN_CONTEXT)
    return [[late, call("h", 1 << 33), late], [failed, call("maybe", 4, retval=(1 << 64) - 4095), call("h", 2)]]


@pytest.mark.parametrize("start_ns", [0, 1_000_000, 1 << 60])
def test_what_is_odd_is_read_back(start_ns: int) -> None:
    agrees(call_tree(trace_of(*odd(), start_ns=start_ns)))


@pytest.mark.parametrize(("file", "filters"), [
    (CUT / "6.12-lost.dat", {"no_irq": True}), (CUT / "7.2-retval.dat", {}), (EXAMPLES / "failing/retry.dat", {}),
    (EXAMPLES / "cat-enoent.dat", {"compensate": True}),
])  # fmt: skip
def test_real_trees_are_read_back(file: Path, filters: dict[str, Any]) -> None:
    agrees(call_tree(kfgraph.load(file), root=["*alloc*", "*lock*", "*read*"], **filters))


@pytest.mark.parametrize("value", [0, 1, 255, 256, 1 << 32, (1 << 63) - 1])
def test_a_column_has_as_many_planes_as_its_largest_value_needs(value: int) -> None:
    planes = planes_of(np.array([0, value, 3], np.int64))
    assert len(planes) == len(f"{max(value, 3):x}".rjust(2, "0")) + 1 >> 1
    whole = np.array([-value, value, -1], np.int64)
    assert zigzag(whole).tolist() == [2 * value - 1 if value else 0, 2 * value, 1]


def head_of(trace: Trace, **filters: Any) -> dict[str, Any]:
    shown = call_tree(trace, **filters)
    text = page(Report(shown, top(trace, n_paths=0, **filters), why(trace)))
    (data,) = re.findall(r'id="data">([^<]*)<', text)
    return unpacked(base64.b64decode(data))[0]


def test_the_head_says_what_failed_and_where_it_is() -> None:
    failing = call("foo_probe", 5, call("foo_get", 7, retval=(1 << 32) - 19), retval=(1 << 32) - 19)
    tree = call("foo_init", 5, call("schedule", 50), failing, retval=(1 << 32) - 19)
    trace = trace_of([call("before", 1), tree])
    head = head_of(trace)
    names = head["names"]
    assert [names[i] for i in head["tasks"]] == ["task0-100"] and [names[i] for i in head["asleep"]] == ["schedule"]
    assert head["errors"] == {"19": "ENODEV"} and head["failed"] is True
    # The task, before, foo_init, schedule, foo_probe, foo_get.
    assert (head["born"], head["open"], head["origin_ns"], head["n"]) == (5, 5, 1_000_000, 6)
    # What waited stands behind all work.
    assert head["functions"]["name"] == ["foo_get", "foo_init", "foo_probe", "before", "schedule"]
    assert head["functions"]["self_ns"] == [7, 5, 5, 1, 50] and head["functions"]["waits"] == [False] * 4 + [True]
    assert head["self_ns"] == 7 + 5 + 5 + 1, "without what waited"
    fine = head_of(trace_of([call("before", 1)]))
    assert (fine["born"], fine["open"], fine["failed"], fine["errors"]) == (-1, -1, False, {})
