"""What every exporter must do: one contract over EXPORTERS."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from builder.tables import call, deep, trace_of, traces, wide
from export import decoders
from export.oracle import NOT_AS_USUAL, crossing, graph, stack_times, whole_calls
from kfgraph.errors import UsageError
from kfgraph.export.exporters import EXPORTERS, export, exporter_of
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.parse import load

REPOSITORY = Path(__file__).resolve().parents[2]
EACH = pytest.mark.parametrize("name", [exporter.name for exporter in EXPORTERS])
OF_CALLS = pytest.mark.parametrize("name", decoders.CALLS)
OF_STACKS = pytest.mark.parametrize("name", decoders.STACKS)
EVIL = ["a;b", 'q"uote', "<b>&amp;", "\x1b[41mred", "new\nline", "-1", "=1+1", "\u202eback", "a b", "{", "%s", "\\"]


UNPRUNED = {exporter.name: {"min_ns": 0} for exporter in EXPORTERS if exporter.prunes}


def exported(trace: Trace, name: str, **more) -> bytes:
    stream = io.BytesIO()
    export(trace, name, stream, **more)
    return stream.getvalue()


def said(trace: Trace, name: str) -> dict[str, int]:
    return {notice.code: notice.n for notice in export(trace, name, io.BytesIO(), **UNPRUNED.get(name, {}))}


def test_every_exporter_is_under_this_contract() -> None:
    assert {*decoders.CALLS, *decoders.STACKS, *decoders.GRAPHS} == {exporter.name for exporter in EXPORTERS}


def test_a_suffix_means_one_format() -> None:
    suffixes = [suffix for exporter in EXPORTERS for suffix in exporter.suffixes]
    assert len(suffixes) == len(set(suffixes)) and all(suffix.startswith(".") for suffix in suffixes)
    for exporter in EXPORTERS:
        for suffix in exporter.suffixes:
            assert exporter_of(None, f"dir.csv/A{suffix.upper()}") is exporter
            assert exporter_of(None, f"a{suffix}.gz") is exporter
        assert exporter_of(exporter.name, "x.svg") is exporter
    for wrong in ("x.svg", "x", "x.html"):
        with pytest.raises(UsageError):
            exporter_of(None, wrong)


def check_calls(trace: Trace, name: str) -> None:
    slices = decoders.CALLS[name](exported(trace, name))
    assert len(slices) == len(trace.calls)
    # A cell of CSV has an apostrophe before what a spreadsheet would compute.
    found = Counter((one.name.removeprefix("'") if name == "csv" else one.name, one.duration_ns) for one in slices)
    if name in ("json",):
        found = Counter((spelt_out(one.name), one.duration_ns) for one in slices)
    whole = whole_calls(trace)
    if name in decoders.TEXTS:
        # A name ends at some letters.
        wholes, whole = whole, Counter()
        for (function, ns), n in wholes.items():
            plain = re.sub(r"[{ ](?!\[\w+\]$)", "_", function.replace(";", ":"))
            whole[re.sub(r"^(?=[-=%])", "_", plain), ns] += n
    assert whole - found == Counter()
    if name in decoders.ON_TRACKS:
        assert crossing(slices) == []


def check_stacks(trace: Trace, name: str) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for stack, ns in stack_times(trace).items():
        expected[tuple(part.replace(";", ":") if name == "folded" else part for part in stack)] += ns
    assert decoders.STACKS[name](exported(trace, name)) == expected


def check_graph(trace: Trace, name: str) -> None:
    found = decoders.GRAPHS[name](exported(trace, name, **UNPRUNED.get(name, {})))
    assert found == graph(trace)


def check(trace: Trace, name: str) -> None:
    checks = ((decoders.CALLS, check_calls), (decoders.STACKS, check_stacks), (decoders.GRAPHS, check_graph))
    next(one for known, one in checks if name in known)(trace, name)


@EACH
@given(trace=traces())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_totals_are_those_of_the_trace(name, trace) -> None:
    check(trace, name)


@EACH
def test_no_call(name) -> None:
    check(trace_of([]), name)


@EACH
def test_one_call(name) -> None:
    trace = trace_of([call("f", 1_234_567)])
    check(trace, name)
    assert said(trace, name) == {}


@EACH
def test_odd_names(name) -> None:
    trace = trace_of(*[[call(n, 1_000, call(f"{n} [mod]", 7))] for n in EVIL],
                     tasks=[Task(50 + i, n) for i, n in enumerate(EVIL)])  # fmt: skip
    check(trace, name)


@EACH
def test_5000_levels(name) -> None:
    if name not in decoders.STACKS:
        check(deep(5_000), name)
        return
    # Every stack is written whole: taking 5,000 of them apart takes seconds.
    check(deep(1_000), name)
    assert len(exported(deep(5_000), name)) > len(exported(deep(1_000), name)) > 1_000


@EACH
def test_100000_siblings(name) -> None:
    check(many_siblings(), name)


@cache
def many_siblings() -> Trace:
    return wide(100_000)


@EACH
def test_a_broken_trace(name) -> None:
    """What has no end, no start, an interrupt in the tracer, a callee that seems to end after its caller."""
    inner = call("hit", 900, context=2, flags=Flag.IN_TRACER)
    trace = trace_of([call("a", 1_000, call("b", 500, call("c", 20)), inner, call("open", 5, call("d", 30),
                      unfinished=True)), call("late", 10)])  # fmt: skip
    calls = trace.calls
    # The interrupt's time is not in its caller's.
    duration, start = calls.duration_ns.copy(), calls.start_ns.copy()
    start[trace.symbols.names.index("c") - 1] += 480
    start[2] += 1_000
    duration[0] = 1_000 + 520 + 30
    own = calls.self_ns.copy()
    trace = replace(trace, calls=calls.with_columns(duration_ns=duration, start_ns=start, self_ns=own))
    check(trace, name)
    if name in decoders.TEXTS:
        # What has no end has none there.
        assert said(trace, name) == {"export-inside": 1}
    elif name not in ("csv", "json", "parquet"):
        # A timeline shows no own time.
        own = {} if name in decoders.ON_TRACKS else {"export-self-unknown": 1}
        assert said(trace, name) == {"export-unfinished": 1, "export-in-tracer": 1, **own}


@EACH
def test_times_that_are_not_known(name) -> None:
    trace = trace_of([call("a", 1_000, call("b", 500))], [call("c", 3)])
    n = len(trace.calls)
    calls = trace.calls.with_columns(
        start_ns=np.full(n, -1, np.int64), duration_ns=np.full(n, -1, np.int64), self_ns=np.full(n, -1, np.int64),
        flags=np.full(n, int(Flag.NO_EXIT | Flag.START_UNKNOWN), np.uint32),
    )  # fmt: skip
    check(replace(trace, calls=calls), name)


@EACH
@pytest.mark.parametrize("example", ["insmod-fail19.dat", "insmod-foo-fail19.dat", "insmod-lossy.report.txt.xz"])
def test_real_traces(name, example) -> None:
    check(whole(example), name)


@cache
def whole(example: str) -> Trace:
    """Without what filters leave out by themselves."""
    trace = load(REPOSITORY / "examples" / example)
    flags = trace.calls.flags & ~np.uint32(Flag.PRE_EXEC)
    calls = trace.calls.with_columns(flags=flags)
    return replace(trace, calls=calls, command_lanes=None, companion=None, probed=frozenset())


@EACH
def test_filters_hold(name) -> None:
    trace = trace_of([call("a", 1_000, call("b", 500, call("c", 20))), call("b", 7)])
    data = exported(trace, name, root="b")
    if name in decoders.CALLS:
        assert sorted((s.name, s.duration_ns) for s in decoders.CALLS[name](data)) == [("b", 7), ("b", 520), ("c", 20)]
    elif name in decoders.STACKS:
        assert decoders.STACKS[name](data) == {("b",): 507, ("b", "c"): 20}
    else:
        assert decoders.GRAPHS[name](data) == ({"b": 507, "c": 20}, {("b", "c"): (1, 20)})


@EACH
def test_the_same_bytes_each_time(name) -> None:
    trace = whole("insmod-fail19.dat")
    assert exported(trace, name) == exported(trace, name)


def test_the_oracle_knows_flags() -> None:
    trace = trace_of([call("a", 5, flags=Flag.DEPTH_JUMP), call("b", 6, retval=0)])
    assert whole_calls(trace) == {("b", 6): 1} and NOT_AS_USUAL & Flag.DEPTH_JUMP


def test_a_pipe_that_closes_is_no_error() -> None:
    line = f"{sys.executable} -m kfgraph export examples/insmod-fail19.dat --format csv | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("row,parent,")


def test_chrome_knows_tasks_by_their_pid_and_all_other_tracks_by_numbers_beyond_every_pid() -> None:
    idle = [Task(0, "<idle>", 0), Task(0, "<idle>", 1), Task(4_194_303, "last")]
    tick = [call("tick", 5, context=2, cpu=3)]
    trace = trace_of([call("a")], [call("b", 9, *tick)], [call("c")], tasks=idle)
    found = json.loads(exported(trace, "chrome"))["traceEvents"]
    numbers = {e["args"]["name"]: e["tid"] for e in found if e["name"] == "thread_name"}
    assert len(set(numbers.values())) == len(numbers) == 4
    assert numbers.pop("last-4194303") == 4_194_303
    assert sorted(numbers.values())[0] > 1 << 22
    slices = {e["name"]: e["tid"] for e in found if e["ph"] == "X"}
    assert set(slices.values()) <= {*numbers.values(), 4_194_303} and slices["c"] == 4_194_303


@pytest.mark.parametrize(("first_ns", "ts"), [(-1, 0), (0, 1_000), (999_000, 1), (1_000_000, 0), (2_000_000, 0)])
def test_chromes_times_begin_with_the_recording_or_where_that_is_not_known_with_its_calls(first_ns, ts) -> None:
    trace = trace_of([call("a")])
    trace = replace(trace, meta=replace(trace.meta, first_ns=first_ns))
    (only,) = [e for e in json.loads(exported(trace, "chrome"))["traceEvents"] if e["ph"] == "X"]
    assert only["ts"] == ts
