"""One selection has the same times in every door: JSON, merged JSON, pandas, top, anytree and the screen."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import kfgraph
from builder.tables import traces
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.fold import FoldOptions
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.export.jsonl import write_calls, write_nodes
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns
from kfgraph.render.tree import tree_view

REPOSITORY = Path(__file__).resolve().parents[2]
TRACES = {
    "examples/insmod-fail19.dat": "do_init_module",
    "examples/insmod-foo-fail19.dat": "load_module",
    "examples/cat-enoent.dat": "vfs_open",
    "examples/insmod-dummy.report.txt.xz": "do_init_module",
    "examples/insmod-lossy.report.txt.xz": "load_module",
    "tests/fixtures/traces/s390x-true.dat": "vfs_read",
    "tests/fixtures/text/6.1-report-pipe-syscalls.txt.xz": "do_sys_openat2",
    "tests/fixtures/text/6.12-report-l-insmod.txt.xz": "*_module",
    "tests/fixtures/text/7.2-retval-ftrace-abstime-proc-latency.txt.xz": "vfs_*",
}
FILTERS: list[dict[str, Any]] = [
    {},
    {"no_irq": True},
    {"all_tasks": True, "pre_exec": True},
    {"root": True},
    {"root": True, "no_irq": True},
    {"root": True, "no_irq": True, "pre_exec": True},
    {"root": True, "cpu": 0},
    {"from_s": 0.01, "to_s": 0.2, "no_irq": True},
]
# All filters on small recordings; on large ones those that do the most.
LARGE = ("examples/insmod-dummy.report.txt.xz", "examples/cat-enoent.dat", "tests/fixtures/traces/s390x-true.dat")
FEW = (0, 5)


@pytest.fixture(scope="module")
def loaded() -> Callable[[str], Trace]:
    return cache(lambda name: kfgraph.load(REPOSITORY / name))


def json_of(tree: CallTree) -> Any:
    out = io.StringIO()
    (write_nodes if tree.merged else write_calls)(tree, out)
    return json.loads(out.getvalue()) if tree.merged else [json.loads(line) for line in out.getvalue().splitlines()]


def numbers(column: Any) -> list[int | None]:
    return [int(value) if known else None for value, known in zip(column, column.notna(), strict=True)]


def agree(trace: Trace, **filters: Any) -> None:
    frame = kfgraph.to_pandas(trace, **filters)
    rows = frame.index.to_numpy()
    recorded = trace.calls.duration_ns[rows].tolist()
    assert numbers(frame["duration_ns"]) == [None if value < 0 else value for value in recorded]

    tree = call_tree(trace, **filters)
    lines = {line["row"]: line for line in json_of(tree)}
    assert sorted(lines) == sorted(rows.tolist())
    for name in ("duration_ns", "total_ns", "self_ns"):
        assert numbers(frame[name]) == [lines[row][name] for row in rows.tolist()], name
    known = frame["total_ns"].notna()
    assert (frame["total_ns"][known] <= frame["duration_ns"][known]).all()

    assert ("error" in frame) == any("error" in line for line in lines.values())
    if "error" in frame:
        words = [None if word != word else word for word in frame["error"].astype(object)]
        assert words == [lines[row]["error"] for row in rows.tolist()]
        assert frame["error_sure"].tolist() == [lines[row]["error_sure"] for row in rows.tolist()]

    merged = call_tree(trace, merge=True, **filters)
    if "error" in frame:
        sure = [node["n_errors"] for node in json_of(merged) if node["error_sure"]]
        assert sum(sure) == int(frame["error_sure"].sum())
        assert merged.to_pandas()["n_errors"].tolist() == [node["n_errors"] for node in json_of(merged)]
    totals: Counter[Any] = Counter()
    selfs: Counter[Any] = Counter()
    for node in json_of(merged):
        if "task" not in node:
            totals[node["function"], node["module"]] += node["total_ns"] or 0
            selfs[node["function"], node["module"]] += node["self_ns"] or 0
    expected: Counter[Any] = Counter()
    for line in lines.values():
        expected[line["function"], line["module"]] += line["total_ns"] or 0
    assert totals == expected
    assert selfs.total() == frame["self_ns"].fillna(0).sum()

    top = kfgraph.top(trace, **filters)
    assert top.self_ns + top.waiting_ns == selfs.total()
    n_calls: Counter[Any] = Counter()
    for row in top.records():
        n_calls[row["function"], row["module"]] += row["n_calls"]
    rows_of = {(row["function"], row["module"]): row["total_ns"] for row in top.records()}
    single = {function: rows_of[function] for function, n in n_calls.items() if n == 1}
    for line in lines.values():
        function = line["function"], line["module"]
        assert single.get(function, line["total_ns"]) == line["total_ns"]

    roots = [line for line in lines.values() if line["parent"] is None]
    if "root" in filters and all(line["total_ns"] is not None for line in roots):
        total = sum(line["total_ns"] for line in roots)
        view = tree_view(merged, FoldOptions(depth=0))
        screen = "".join(view.plain()).splitlines()
        first = merged.tree.roots
        assert int(merged.tree.total_ns[first].sum()) == total
        for node, text in zip(first.tolist(), screen[2:], strict=False):
            value = int(merged.tree.total_ns[node])
            assert value < 1_000 or format_ns(value) in text
        if len(merged.tree) <= 20_000:
            assert sum(node.total_ns for node in kfgraph.to_anytree(merged)) == total


@pytest.mark.parametrize(
    ("name", "which"),
    [(name, which) for name in TRACES for which in range(len(FILTERS)) if which in FEW or name not in LARGE],
)
def test_every_door_has_the_same_times(name: str, which: int, loaded: Callable[[str], Trace]) -> None:
    trace = loaded(name)
    filters = dict(FILTERS[which])
    if "root" in filters:
        filters["root"] = TRACES[name]
    try:
        kfgraph.to_pandas(trace, **filters)
    except (NoMatchError, UsageError) as refused:
        for door in (call_tree, kfgraph.top):
            with pytest.raises(type(refused), match=re.escape(str(refused))):
                door(trace, **filters)
        return
    agree(trace, **filters)


def test_an_error_that_only_an_event_tells_is_in_every_door(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text(
        "cpus=1\n"
        "  sh-1 [000] 5.000001: funcgraph_entry:               |  __x64_sys_openat() {\n"
        "  sh-1 [000] 5.000002: funcgraph_entry:    2.000 us   |    do_sys_openat2();\n"
        "  sh-1 [000] 5.000009: funcgraph_exit:     8.000 us   |  }\n"
        "  sh-1 [000] 5.000010: sys_exit_openat:      0xfffffffffffffffe\n"
    )
    trace = kfgraph.load(report)
    frame = kfgraph.to_pandas(trace)
    assert trace.calls.retval is None and "retval" not in frame
    assert frame.loc[frame["error_sure"], ["function", "error"]].to_numpy().tolist() == [["__x64_sys_openat", "ENOENT"]]
    agree(trace)


def test_interrupts_are_in_the_duration_and_not_in_the_total(loaded: Callable[[str], Trace]) -> None:
    trace = loaded("examples/insmod-fail19.dat")
    (root,) = (line for line in json_of(call_tree(trace, root="do_init_module", no_irq=True)) if line["parent"] is None)
    (node,) = (n for n in json_of(call_tree(trace, root="do_init_module", no_irq=True, merge=True)) if not n["level"])
    assert (root["duration_ns"], root["total_ns"], node["total_ns"]) == (145_885_944, 39_064_704, 39_064_704)


@settings(max_examples=60, deadline=None)
@given(traces())
def test_random_traces_agree(trace: Trace) -> None:
    agree(trace)
    if not len(trace.calls):
        return
    agree(trace, root="*")
    try:
        kfgraph.to_pandas(trace, no_irq=True)
    except (NoMatchError, UsageError):
        return
    agree(trace, no_irq=True)
