"""Time off the CPU summed up by function, against sums made one call at a time."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.machine import Machine
from kfgraph.errors import UsageError
from kfgraph.export.csv import write_csv
from kfgraph.model.trace import Trace
from sleep.test_pass import ACTIONS, loaded, one_sleep, run

KINDS = ("asleep_ns", "preempted_ns")


def sums(trace: Trace) -> dict[str, Counter[str]]:
    """function -> the numbers that ``top`` should have, by walking up from each call."""
    calls, found = trace.calls, {}
    own = {kind: getattr(calls, kind).dense(len(calls)).tolist() for kind in KINDS}
    for row in range(len(calls)):
        name = trace.symbols.label(int(calls.func[row]))
        here = found.setdefault(name, Counter())
        above, nested = int(calls.parent[row]), False
        while above >= 0:
            nested |= bool(calls.func[above] == calls.func[row] and calls.duration_ns[above] >= 0)
            above = int(calls.parent[above])
        counts = calls.duration_ns[row] >= 0 and not nested
        for kind in KINDS:
            here[kind] += own[kind][row]
            if counts:
                here[f"total_{kind}"] += sum(own[kind][row : calls.end[row]])
        if counts:
            here["total_ns"] += int(calls.duration_ns[row])
    for here in found.values():
        here["oncpu_ns"] = here["total_ns"] - here["total_asleep_ns"] - here["total_preempted_ns"]
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, min_size=10, max_size=80))
def test_sums_by_function_are_those_of_the_calls(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, int, str, int, int, str]]
) -> None:
    m, n_switches = run(actions)
    trace = loaded(m, tmp_path_factory.getbasetemp() / "top.dat")
    if not n_switches or not len(trace.calls):
        return
    result, expected = kfgraph.top(trace), sums(trace)
    for record in result.records():
        told = expected[record["function"]]
        for name in (*KINDS, "total_asleep_ns", "total_preempted_ns", "total_ns"):
            assert (record[name] or 0) == told[name], name
        assert record["oncpu_ns"] == (None if record["total_ns"] is None else told["oncpu_ns"])
    assert result.off_ns == {kind: sum(each[kind] for each in expected.values()) for kind in KINDS}


def two_sleeps(path: Path) -> Trace:
    """f sleeps 670 ns and is preempted 100 ns in schedule of its callee g; h (complete) works for 5,000 ns."""
    m = one_sleep()
    m.now += 1_000
    for name in ("f", "schedule"):
        m.enter(0, name)
        m.now += 10
    m.switch(0, -1, 256)
    m.now += 100
    m.switch(0, 11, 0)
    m.leave(0)
    m.leave(0)
    m.enter(0, "complete")
    m.now += 5_000
    m.leave(0)
    return loaded(m, path)


def test_every_format_tells_the_same(tmp_path: Path) -> None:
    result = kfgraph.top(two_sleeps(tmp_path / "a.dat"))
    told = result.to_dict()
    assert (told["asleep_ns"], told["preempted_ns"], told["self_ns"]) == (670, 100, 5_350)
    rows = {row["function"]: row for row in told["functions"]}
    assert {name: rows["schedule"][name] for name in result.parts} == {
        "asleep_ns": 670, "total_asleep_ns": 670, "preempted_ns": 100, "total_preempted_ns": 100, "oncpu_ns": 190
    }
    assert {name: rows["f"][name] for name in result.parts} == {
        "asleep_ns": 0, "total_asleep_ns": 670, "preempted_ns": 0, "total_preempted_ns": 100, "oncpu_ns": 350
    }
    assert told["asleep_paths"] == [{"path": ["f", "g", "schedule"], "n_calls": 1, "asleep_ns": 670}]
    assert json.loads(json.dumps(told)) == told
    frame = result.to_pandas().set_index("function")
    out = io.StringIO()
    write_csv(result.records(), result.columns, out)
    head, *lines = out.getvalue().splitlines()
    table = {line.split(",")[0]: dict(zip(head.split(","), line.split(","), strict=True)) for line in lines}
    for name, row in rows.items():
        for column in (*result.parts, "self_ns", "total_ns"):
            assert frame.loc[name, column] == row[column] == int(table[name][column])


@pytest.mark.parametrize(
    ("by", "functions"),
    [
        ("self", ["complete", "schedule", "f", "g", "switch_mm_irqs_off", "finish_task_switch"]),
        ("oncpu", ["complete", "f", "g", "schedule", "switch_mm_irqs_off", "finish_task_switch"]),
        ("asleep", ["schedule", "f", "g"]),
        ("preempted", ["schedule", "f"]),
    ],
)
def test_what_is_sorted_by(by: Any, functions: list[str], tmp_path: Path) -> None:
    result = kfgraph.top(two_sleeps(tmp_path / "a.dat"), by=by)
    assert list(result.functions[: len(functions)]) == functions
    assert "schedule" in result.functions and set(result.kinds) == {"work"}


def test_the_screen_says_that_self_time_is_on_the_cpu(tmp_path: Path) -> None:
    trace = two_sleeps(tmp_path / "a.dat")
    text = kfgraph.to_text(kfgraph.top(trace, by="asleep"))
    assert text.splitlines()[0] == (
        "6 functions, 8 calls, 5.350 us of self time on the CPU, by asleep; 670 ns asleep, 100 ns preempted"
    )
    head = next(line for line in text.splitlines() if "calls" in line and "self" in line and "function" in line)
    assert "asleep" in head
    assert "Where it slept, by the time asleep of the last function\n100.0%" in text
    assert "(waiting)" not in text


def test_by_what_the_trace_does_not_tell_is_an_error(tmp_path: Path) -> None:
    trace = loaded(Machine(), tmp_path / "a.dat")
    with pytest.raises(UsageError, match="--by asleep: this trace has no sched_switch events"):
        kfgraph.top(trace, by="asleep")


def test_an_interrupt_that_hit_the_tracer_is_not_in_its_callers_times(tmp_path: Path) -> None:
    trace = two_sleeps(tmp_path / "a.dat")
    calls = trace.calls
    # g is of that kind: f's duration does not hold its time, nor what it slept.
    flags = calls.flags.copy()
    flags[1] |= np.uint32(kfgraph.Flag.IN_TRACER)
    parts = kfgraph.top(type(trace)(calls.with_columns(flags=flags), trace.symbols, trace.tasks)).records()
    assert {row["function"]: row["total_asleep_ns"] for row in parts if row["total_asleep_ns"]} == {
        "g": 670, "schedule": 670
    }


def test_kfgraphs_own_cost_holds_what_it_slept(tmp_path: Path) -> None:
    """Setting probes waits for other CPUs: that is in no total either."""
    m = Machine()
    m.switch(0, 11, 0)
    for name in ("load_module", "blocking_notifier_call_chain"):
        m.enter(0, name)
        m.now += 10
    m.switch(0, -1)
    m.now += 500
    m.switch(0, 11, 0)
    for _ in range(2):
        m.now += 10
        m.leave(0)
    trace = replace(loaded(m, tmp_path / "a.dat"), probed=frozenset({"foo"}))
    result = kfgraph.top(trace)
    rows = {row["function"]: row for row in result.records()}
    assert result.own_cost.known_ns == 520
    assert (rows["load_module"]["total_ns"], rows["load_module"]["self_ns"]) == (20, 20)
    assert (rows["load_module"]["total_asleep_ns"], rows["load_module"]["oncpu_ns"]) == (0, 20)
    assert (rows["blocking_notifier_call_chain"]["total_ns"], result.off_ns["asleep_ns"]) == (0, 0)
