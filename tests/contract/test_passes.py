"""What every pass must do: one contract over PASSES."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import kfgraph.passes
from builder.tables import call, deep, trace_of, traces
from kfgraph.model.companion import Companion, ReturnProbe
from kfgraph.model.trace import Trace
from kfgraph.passes import PASSES, Given, Pass

EACH = pytest.mark.parametrize("each", PASSES, ids=lambda each: each.name)
COMPANION = Companion(argv=("x",), pids=(1,), probes=(ReturnProbe("kfgraph", "probe", "alpha", "m"),))
KEPT = ("func", "lane", "cpu", "exit_cpu", "start_ns", "duration_ns", "level", "depth", "parent", "end", "context")
"""Columns that no pass of today touches: the order of calls, and what was recorded of them."""


def module_of(each: Pass) -> Any:
    return import_module(f"kfgraph.passes.{each.name}")


def columns(trace: Trace) -> Iterator[tuple[str, Any]]:
    yield from trace.calls.columns()
    yield from ((f"marks.{name}", value) for name, value in vars(trace.marks).items() if isinstance(value, np.ndarray))


def test_every_file_of_the_folder_is_a_pass_in_the_list() -> None:
    files = {path.stem for path in Path(kfgraph.passes.__file__).parent.glob("*.py")}
    assert {each.name for each in PASSES} == files - {"__init__", "given"}
    assert len({each.name for each in PASSES}) == len(PASSES)


@EACH
def test_a_pass_is_a_function_of_a_trace_and_of_what_was_given(each: Pass) -> None:
    assert list(inspect.signature(module_of(each).apply).parameters) == ["trace", "given"]


@EACH
@given(traces(("alpha", "begin_new_exec", "0xffffffffc0a9d01f")))
@settings(max_examples=40, deadline=None)
def test_a_pass_makes_a_sound_trace_and_writes_into_none(each: Pass, trace: Trace) -> None:
    for before in (trace, replace(trace, companion=COMPANION)):
        before.read_only()
        copies = {name: column.copy() for name, column in columns(before)}
        after = module_of(each).apply(before, Given())
        after.check()
        assert all(np.array_equal(column, copies[name]) for name, column in columns(before))
        assert all(np.array_equal(getattr(after.calls, name), copies[name]) for name in KEPT)


@EACH
def test_a_pass_takes_what_is_empty_and_what_is_deep(each: Pass) -> None:
    for trace in (trace_of([]), trace_of([call("alpha")]), deep(5_000)):
        after = module_of(each).apply(replace(trace, companion=COMPANION), Given())
        after.check()
        assert (len(after.calls), len(after.tasks)) == (len(trace.calls), len(trace.tasks))


def test_passes_run_in_their_order_and_only_where_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    for each in PASSES:
        monkeypatch.setattr(
            module_of(each), "apply", lambda trace, given, name=each.name: ran.append(name) or replace(trace)
        )

    def passes(trace: Trace, **sources: Any) -> set[str]:
        ran.clear()
        kfgraph.passes.apply(trace, Given(**sources))
        assert ran == [each.name for each in PASSES if each.name in ran]
        return set(ran)

    plain = trace_of([call("alpha")])
    told = replace(plain, companion=COMPANION)
    assert {"return_probes", "command"} <= passes(told) - passes(plain) and passes(plain) <= passes(told)
    assert passes(plain, modules=("foo.ko",)) == passes(plain) | {"module_names"}
    others = {"probed_modules", "sleep", "jumps", "comms", "reused_pids"}
    assert passes(told, modules=("foo.ko",), btf=("types",)) == {each.name for each in PASSES} - others
    assert ran.index("return_probes") < ran.index("module_names")
    described = replace(plain, meta=replace(plain.meta, details={"probes": "kfgraph"}))
    assert passes(described) == passes(plain) | {"probed_modules"}
    assert passes(replace(described, companion=COMPANION)) == passes(told)
    switching = replace(plain, marks=replace(plain.marks, names=("sched_switch",)))
    assert passes(switching) == passes(plain) | {"sleep", "comms"}
    for event in ("sched_process_exec", "sched_process_fork", "sched_process_exit"):
        told = replace(plain, marks=replace(plain.marks, names=("sys_enter", event)))
        births = {"reused_pids"} if event == "sched_process_fork" else set()
        assert passes(told) == passes(plain) | {"comms"} | births


def test_a_pass_that_does_not_say_when_runs_on_every_trace() -> None:
    assert Pass("command").needed(trace_of([call("alpha")]), Given()) is True
