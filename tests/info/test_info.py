"""kfgraph info: every number against a count by hand, and what a person reads."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import numpy as np
from hypothesis import given, settings
from rich.console import Console

from builder.tables import call, symbols_of, trace_of, traces
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.info import info
from kfgraph.errors import Notice
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion, ModuleImage, ReturnProbe
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.render.info import InfoView


def rich_trace() -> Trace:
    trace = trace_of(
        [call("load_module", 10, call("f [m]", 5, unfinished=True), call("irq", 7, context=2)), call("g", 3)],
        [call("idle", 100)],
        tasks=[Task(42, "insmod"), Task(0, "", 1)],
    )
    i32 = np.zeros(3, np.int32)
    return replace(
        trace,
        marks=Marks(
            np.array([1, 2, 3]), i32, np.zeros(3, np.int16), np.array([1, 0, 1], np.int32), i32, i32 - 1,
            ("sched_switch", "sys_enter"), ("", "", ""),
        ),
        losses=Losses(
            np.array([5, 6]), np.zeros(2, np.int16), np.array([1_000, -1]), np.zeros(2, np.int32), i32[:2], i32[:2] - 1,
            np.array([1, 2]),
        ),
        meta=TraceMeta(
            path="a.dat", reader="tracedat", kernel="6.1.0", host="box", arch="x86_64", recorder="trace-cmd 3.1.6",
            clock="local", n_cpus=2, n_records=9, first_ns=1_000, last_ns=2_501_000, n_overrun=7,
        ),
        notices=(Notice("unmatched-exit", "exits without an entry", 4, hint="a bigger buffer"),),
        companion=Companion(
            argv=("insmod", "foo.ko", "a b"), exit_status=1,
            probes=(ReturnProbe("kf", "f", "f", "m", n_missed=2),),
            modules=(ModuleImage("m", "m.ko", "abcd", "6.1.0 SMP", ()),),
            notes=("one was left out",),
        ),
        command_lanes=frozenset({0}),
    )  # fmt: skip


def test_the_json_has_every_number() -> None:
    data = json.loads(json.dumps(info(rich_trace()).to_dict()))
    recording = data.pop("recording")
    assert recording["argv"] == ["insmod", "foo.ko", "a b"] and recording["exit_status"] == 1
    assert data == {
        "path": "a.dat", "reader": "tracedat", "kernel": "6.1.0", "host": "box", "arch": "x86_64",
        "recorder": "trace-cmd 3.1.6", "clock": "local", "clock_unit": "ns", "buffers": [],
        "first_ns": 1_000, "last_ns": 2_501_000, "n_records": 9,
        "n_calls": 5, "n_roots": 3, "n_unfinished": 1, "n_functions": 5, "n_unresolved": 0, "n_retvals": 0,
        "has_args": False, "max_level": 1, "n_lost_marks": 2, "n_lost_counted": 1_000, "lost_ns": 5,
        "n_overrun": 7, "n_cpus": 2, "cpus": [0], "contexts": {"task": 4, "hardirq": 1},
        "flags": {"NO_EXIT": 1, "SELF_UNKNOWN": 1, "INTERRUPT": 1},
        "tasks": [
            {"pid": 42, "comm": "insmod", "cpu": None, "n_calls": 4, "n_roots": 2, "root_ns": 25, "least_ns": 25,
             "of_command": True},
            {"pid": 0, "comm": None, "cpu": 1, "n_calls": 1, "n_roots": 1, "root_ns": 100, "least_ns": 100,
             "of_command": False},
        ],
        "events": {"sys_enter": 2, "sched_switch": 1}, "waits": [], "tracing": None, "details": {},
        "notices": [{
            "code": "unmatched-exit", "severity": "incomplete", "text": "exits without an entry", "n": 4,
            "hint": "a bigger buffer", "details": {},
        }],
    }  # fmt: skip


def text_of(trace: Trace, width: int, **options: object) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False).print(InfoView(info(trace), **options))
    return out.getvalue()


def test_what_a_person_reads() -> None:
    assert text_of(rich_trace(), 100, verbose=True, loops={"stacks": True, "scan": False}) == (
        "why       the command ended with status 1, and no system call that was recorded with its result\n"
        "          failed\n"
        "          to know more: sudo kfgraph trace -- insmod foo.ko 'a b'\n"
        "trace     a.dat (read as tracedat)\n"
        "kernel    6.1.0, x86_64, host box\n"
        "made by   trace-cmd 3.1.6\n"
        "clock     local, 2.500 ms long\n"
        "CPUs      2, calls on 0\n"
        "calls     5 of 5 functions, 3 roots, up to 2 levels deep, 1 unfinished\n"
        "recorded  no return values, no arguments, interrupt context\n"
        "lost      records lost at 2 places, 1,000 of them counted, in 5 ns (<0.1% of the time); 7\n"
        "          overwritten before they were read: trees are incomplete there\n"
        "tasks     insmod-42: 4 calls, 25 ns in outermost calls, the command's\n"
        "          <idle>/1: 1 call, 100 ns in outermost calls, not the command's\n"
        "events    sys_enter 2, sched_switch 1\n"
        "command   insmod foo.ko 'a b' (exit status 1)\n"
        "probes    1 return probe, 2 hits missed\n"
        "modules   m: m.ko, 0 functions, build id abcd\n"
        "notes     one was left out\n"
        "notices   4 exits without an entry (a bigger buffer)\n"
        "flags     NO_EXIT on 1 call\n"
        "          SELF_UNKNOWN on 1 call\n"
        "          INTERRUPT on 1 call\n"
        "loops     stacks: compiled\n"
        "          scan: plain Python, slower\n"
    )


def test_a_trace_that_tells_nothing_is_said_to_tell_nothing() -> None:
    trace = replace(trace_of([call("f")]), meta=TraceMeta(path="x", reader="report"))
    trace = replace(trace, calls=trace.calls.with_columns(context=np.full(1, 255, np.uint8)))
    text = text_of(trace, 80)
    assert "kernel    not told\nclock     not told\n" in text
    assert "interrupt context not told" in text and "lost      no loss is recorded\n" in text


def test_long_lists_are_cut_and_counted() -> None:
    trace = trace_of(*[[call("f")] for _ in range(11)])
    assert "          … 3 more tasks with 3 calls (--verbose)\n" in text_of(trace, 80)
    assert "more task" not in text_of(trace, 80, verbose=True)


def test_hostile_names_do_not_reach_the_terminal() -> None:
    trace = trace_of([call("f")], tasks=[Task(1, "\x1b[31m[red]evil\n")])
    text = text_of(trace, 80)
    assert "\x1b" not in text and "\\x1b[31m[red]evil\\n-1" in text


def test_an_empty_trace() -> None:
    empty = info(trace_of())
    assert (empty.n_calls, empty.n_roots, empty.max_level, empty.tasks) == (0, 0, -1, ())
    assert "calls     0 of 0 functions\n" in text_of(trace_of(), 80)


@given(traces())
@settings(max_examples=60, deadline=None)
def test_the_sums_are_conserved(trace) -> None:
    result = info(trace)
    assert sum(task.n_calls for task in result.tasks) == result.n_calls == len(trace.calls)
    assert sum(task.n_roots for task in result.tasks) == result.n_roots
    assert sum(result.contexts.values()) == result.n_calls
    assert result.flags.get("NO_EXIT", 0) == trace.n_unfinished
    assert result.n_functions == len(set(trace.calls.func.tolist()))
    roots = trace.calls.parent < 0
    known = roots & ((trace.calls.flags & Flag.NO_EXIT) == 0)
    assert sum(max(task.root_ns, 0) for task in result.tasks) == int(trace.calls.duration_ns[known].sum())
    known_lanes = set(trace.calls.lane[known].tolist())
    of_lane = {task.label: lane in known_lanes for lane, task in enumerate(trace.tasks.tasks)}
    assert all((task.root_ns >= 0) == (of_lane[task.label] or not task.n_roots) for task in result.tasks)


def test_the_time_of_tasks_is_at_least_what_is_known_of_calls_that_did_not_end() -> None:
    """What `show` says of the task: it said 448 ms here and ≥ 872 ms there, of one trace."""
    ended = call("exit", 0, call("mmput", 90_000), unfinished=True)
    trace = trace_of([call("f", 10), ended], tasks=[Task(7, "sh"), Task(8, "idle")])
    said = info(trace).tasks[0]
    assert (said.root_ns, said.least_ns) == (10, 90_010)
    text = text_of(trace, 80)
    assert "tasks     sh-7: 3 calls, ≥ 90.010 us in outermost calls\n" in text
    assert "          … 1 more task with 0 calls (--verbose)\n" in text
    assert call_tree(trace).tree.floor_ns[0] == 90_010
    nothing = text_of(trace_of([], tasks=[Task(8, "idle")]), 80)
    assert "tasks     idle-8: no calls\n" in nothing


def test_functions_without_a_name_are_counted() -> None:
    trace = trace_of([call("0xffffffffc0a9d01f"), call("f")])
    assert info(trace).n_unresolved == 1 and symbols_of(["f"]).resolved.tolist() == [False, True]
