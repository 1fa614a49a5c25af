"""``--redact``: no output holds what tells of a machine and its user, and the rest stays as it is."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from builder.tables import call, trace_of
from export.oracle import stack_times
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.redact import REDACTED, redacted, redacted_tree
from kfgraph.analyze.select import select
from kfgraph.analyze.top import top
from kfgraph.analyze.why import why
from kfgraph.errors import Notice, notice
from kfgraph.export.exporters import EXPORTERS, export
from kfgraph.model.companion import Companion, ModuleImage
from kfgraph.model.marks import Marks
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.parse import load
from kfgraph.render.html.page import Report, page
from running import kfgraph

REPOSITORY = Path(__file__).resolve().parents[2]
FOO = REPOSITORY / "examples" / "insmod-foo-fail19.dat"
EACH = pytest.mark.parametrize("name", [exporter.name for exporter in EXPORTERS])
SECRET = "s3cret"


def secretive() -> Trace:
    """A trace with a secret wherever one can be."""
    trace = trace_of(
        [call("do_open", 900, call("kfree", 50, args=f'path="/{SECRET}/a"'), retval=(1 << 64) - 2)], [call("kfree", 8)],
        tasks=[Task(7, f"{SECRET}-sh"), Task(8, f"{SECRET}-sh")],
    )  # fmt: skip
    i32 = np.zeros(2, np.int32)
    marks = Marks(
        np.array([1_000_100, 1_000_200]), i32, np.zeros(2, np.int16), np.array([0, 1], np.int32), i32 + 1, i32,
        ("sched_switch", "sys_exit_openat"), (f"prev_comm={SECRET}", "0xfffffffffffffffe"),
    )  # fmt: skip
    companion = Companion(
        argv=("cat", SECRET), trace_cmd=("trace-cmd", SECRET), options={"x": SECRET}, exit_status=1, partial=SECRET,
        modules=(ModuleImage("m", f"/{SECRET}/m.ko", SECRET, SECRET, ()),), notes=(SECRET,),
    )  # fmt: skip
    meta = TraceMeta(
        path=f"/{SECRET}/t.dat", again=f"/{SECRET}/t.dat", host=SECRET, kernel="6.1", buffers=(SECRET,),
        details={"x": SECRET}, first_ns=1_000_000, last_ns=2_000_000, clock="local",
    )  # fmt: skip
    said = (
        notice("text-prefix", 3, like=SECRET),
        Notice("of-another-kind", SECRET, hint=SECRET, details={"x": SECRET}),
    )
    return replace(trace, marks=marks, companion=companion, meta=meta, notices=said)


def exported(trace: Trace, name: str, **more) -> bytes:
    stream = io.BytesIO()
    export(trace, name, stream, **({"min_ns": 0} if name in ("dot", "mermaid") else {}), **more)
    data = stream.getvalue()
    if name == "parquet":
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        return repr((table.to_pylist(), table.schema.metadata)).encode()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


@EACH
def test_no_format_holds_a_secret(name) -> None:
    trace = secretive()
    data = exported(trace, name, redact=True, all_tasks=True)
    assert SECRET.encode() not in data and b"kfree" in data
    assert SECRET.encode() in exported(trace, name, all_tasks=True)


def test_no_page_holds_a_secret() -> None:
    trace = secretive()
    shown = redacted_tree(call_tree(trace, all_tasks=True))
    made = page(Report(shown, top(trace, all_tasks=True), why(shown.trace)))
    assert SECRET not in made and "task1" in repr(shown.trace.tasks)
    assert SECRET not in repr(redacted(trace).companion) + repr(redacted(trace).meta) + repr(redacted(trace).notices)


@pytest.mark.parametrize("filters", [{}, {"root": "read"}])
def test_interrupts_keep_their_names_and_tasks_do_not(filters: dict[str, str]) -> None:
    hit = [call("irq_enter_rcu", 1), call("__sysvec_apic_timer_interrupt", 9, call("hrtimer_interrupt", 4, context=2))]
    trace = trace_of([call("read", 5, *hit)], [call("f", 1)], tasks=[Task(7, SECRET), Task(8, "b")])
    tree = redacted_tree(call_tree(trace, group_interrupts=True, **filters)).tree
    tasks = [] if filters else ["task1-7", "task2-8"]
    names = ["read", "timer interrupt", "irq_enter_rcu", "__sysvec_apic_timer_interrupt", "hrtimer_interrupt"]
    shown = [tree.labels[label] for label in tree.label.tolist()]
    assert shown == tasks[:1] + names + tasks[1:] + ([] if filters else ["f"])


def test_times_functions_and_results_stay() -> None:
    trace = secretive()
    safe = redacted(trace)
    assert [task.label for task in safe.tasks.tasks] == ["task1-7", "task1-8"]
    assert list(safe.marks.text) == [REDACTED, "0xfffffffffffffffe"]
    assert safe.calls.args is None and safe.calls.retval is trace.calls.retval
    assert sorted(stack_times(safe).values()) == sorted(stack_times(trace).values())
    assert [found.n for found in safe.notices] == [found.n for found in trace.notices]
    kept = load(REPOSITORY / "examples" / "insmod-lossy.report.txt.xz").notices
    assert kept and [n.text for n in redacted(replace(trace, notices=kept)).notices if n.code == "exit-missing"] == [
        n.text for n in kept if n.code == "exit-missing"
    ]


def test_a_system_calls_number_stays_and_its_arguments_go() -> None:
    trace = load(REPOSITORY / "tests/fixtures/traces/cut/7.2-syscalls.dat")
    safe, kept = redacted(trace), set()
    assert any(event.startswith("sys_enter") for event in trace.marks.names)
    for event in trace.marks.names:
        for name in trace.marks.field_names(event):
            found, before = safe.marks.field(event, name), trace.marks.field(event, name)
            if found is not None:
                assert found.is_number and not event.startswith("sys_enter")
                assert found.values.tolist() == before.values.tolist()
                kept.add((event, name))
    assert {("sys_exit_write", "__syscall_nr"), ("sys_exit_write", "ret")} <= kept


def test_only_the_results_of_system_calls_are_told_in_words() -> None:
    names = ("sys_enter_openat", "sys_exit_openat", "sys_enter", "sys_exit", "sys_path", "my_sys_exit")
    n, zeros = len(names), np.zeros(len(names), np.int32)
    marks = Marks(
        np.arange(n) + 1_000_100, zeros, np.zeros(n, np.int16), np.arange(n, dtype=np.int32), zeros + 1, zeros,
        names, tuple(f"{name} {SECRET if 'exit' not in name or name[0] == 'm' else -2}" for name in names),
    )  # fmt: skip
    texts = list(redacted(replace(secretive(), marks=marks)).marks.text)
    assert texts == [REDACTED, "sys_exit_openat -2", REDACTED, "sys_exit -2", REDACTED, REDACTED]


def test_real_names_select_and_are_not_shown(tmp_path) -> None:
    code, out, _ = kfgraph("export", FOO, "-f", "csv", "--task", "insmod", "--redact")
    assert code == 0 and out.count("\n") == 5_812
    assert "insmod" not in out and ",116,task1," in out
    assert "insmod" in kfgraph("export", FOO, "-f", "csv", "--task", "insmod")[1]
    page_of = tmp_path / "p.html"
    assert kfgraph("html", FOO, "-o", page_of, "--redact", "--task", "insmod")[0] == 0
    told = page_of.read_text()
    assert "insmod" not in told and "load_module = -ENODEV, first returned by foo_read_id [foo]" in told


def test_the_selection_is_the_same() -> None:
    trace = load(FOO)
    assert len(select(redacted(trace), root="load_module")) == len(select(trace, root="load_module"))
