"""What is advised against lost events."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.tables import call, trace_of
from kfgraph.capture.recording import Recording
from kfgraph.capture.stats import CpuStats
from kfgraph.cli import advice
from kfgraph.model.companion import Companion, ModuleFunction, ModuleImage


def lossy(*, options: dict[str, object] | None = None, n_events: int = 1_000_000, **more: int) -> Recording:
    return Recording(
        path=Path("t"),
        n_bytes=1,
        exit_status=0,
        interrupted_by=0,
        still_runs=0,
        recorded_s=1.0,
        stats=(CpuStats(0, n_events - 1000, 1000), CpuStats(1, 10, 0)),
        partial="",
        companion=Companion(options=options or {}),
        **more,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--buffer=4M", "-f"], ["-f", "--buffer", "39M"]),
        (["-q", "--buffer", "4M", "--root=vfs_open"], ["-q", "--root=vfs_open", "--buffer", "39M"]),
    ],
)
def test_advice_replaces_a_buffer_and_adds_no_second_root(given: list[str], expected: list[str]) -> None:
    recording = replace(lossy(), stats=(CpuStats(0, 100_000, 900_000),), companion=Companion(argv=("cat", "--root")))
    said = advice.against_loss(recording, None, root="load_module", arguments=["trace", *given, "cat", "--root"])
    line = shlex.split(said[0])
    assert line[line.index("trace") :] == ["trace", *expected, "cat", "--root"]
    # A root is advised where there is none; the command's own words are none of kfgraph's.
    assert len(said) == (1 if "--root=vfs_open" in given else 2)


@pytest.mark.parametrize(
    ("recording", "size"),
    [
        (lossy(), "39M"),  # 38.1 MiB
        (lossy(options={"min_duration_us": 5}), "50M"),  # exits only, 49.6 MiB
        (lossy(options={"sched": True}), "69M"),  # 68.7 MiB
        (lossy(n_events=2000, buffer_kb=4096), "8M"),  # half was lost, whatever a record takes
        (lossy(n_events=100_000, buffer_kb=4096), "5M"),  # always more than what lost
        (lossy(buffer_kb=1408, most_buffer_kb=39 << 10), "39M"),
        (lossy(buffer_kb=1408, most_buffer_kb=38 << 10), ""),  # where it was recorded there is no room
        (lossy(options={"extra": ["-b", "100"]}), ""),  # that counts, whatever --buffer says
    ],
)
def test_the_buffer_that_would_have_held(recording: Recording, size: str) -> None:
    assert advice.buffer_that_holds(recording) == size


FOO = ModuleImage("foo", "/foo.ko", "", "6.1", (ModuleFunction("foo_read", ".text", 0, 16),))


@pytest.mark.parametrize(
    ("companion", "expected"),
    [
        (Companion(), "foo_read"),
        (Companion(modules=(FOO,)), "helper"),  # of the module it is about
        (Companion(modules=(FOO,), options={"roots": ["helper"]}), "leaf"),
        (Companion(modules=(FOO,), options={"roots": ["helper", "leaf"]}), ""),
    ],
)
def test_what_is_left_out_is_a_helper_and_not_what_the_trace_is_about(companion: Companion, expected: str) -> None:
    # Each of the first three has most of the calls below it, and the system call is made 200 times.
    reads = [call("__x64_sys_read", 1, call("foo_read", 1, call("helper", 1, call("leaf")))) for _ in range(200)]
    more = [call("cond_resched") for _ in range(900)]
    trace = trace_of([call("x64_sys_call", 1, call("load_module", 1, *reads)), *more])
    assert advice.heaviest_below(trace, companion) == expected


def test_nothing_is_left_out_where_nothing_is_called_all_the_time() -> None:
    assert advice.heaviest_below(trace_of([call("a", 1, call("b", 1, call("c")))]), Companion()) == ""
    assert advice.heaviest_below(trace_of([]), Companion()) == ""


@pytest.mark.parametrize(
    ("companion", "functions", "advised"),
    [
        (Companion(argv=("sh", "x"), modules=(FOO,)), ["fork"], True),
        (Companion(argv=("sh", "x"), modules=(FOO,)), ["load_module"], False),
        (Companion(argv=("sh", "x"), modules=(FOO,), follow=True), ["fork"], False),
        (Companion(argv=("sh", "x"), modules=(FOO,), options={"roots": ["vfs_open"]}), ["vfs_open"], False),
        (Companion(argv=("sh", "x")), ["fork"], False),
        (Companion(modules=(FOO,)), ["fork"], False),  # attached to
    ],
)
def test_a_module_that_a_child_loads_takes_f(companion: Companion, functions: list[str], advised: bool) -> None:
    recording = replace(lossy(), companion=companion)
    trace = trace_of([call(name) for name in functions])
    line = advice.again_with_children(recording, trace, arguments=["trace", "--", "sh", "x"])
    assert line.endswith("trace -f -- sh x") == advised and bool(line) == advised


def test_how_it_is_called_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kfgraph"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    inside, outside = {"PATH": str(tmp_path)}, {"PATH": "/nowhere"}
    assert advice.own_words(str(program), inside) == ["kfgraph"]
    assert advice.own_words(str(program), outside) == [str(program)]
    assert advice.own_words("/x/kfgraph/__main__.py", inside) == [sys.executable, "-m", "kfgraph"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for env in (inside, outside):
        assert advice.own_words(str(program), {**env, "SUDO_UID": "1000"}) == ["sudo", str(program)]
    assert advice.own_words("/x/__main__.py", {**inside, "SUDO_UID": "1"}) == ["sudo", sys.executable, "-m", "kfgraph"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert advice.own_words(str(program), {**inside, "SUDO_UID": "1000"}) == ["kfgraph"]


def test_a_recursion_counts_once_in_what_is_left_out() -> None:
    # 360 of 1,500 calls are in and below r, 400 in and below q; with the inner r counted again r would have 540.
    roots = [call("r", 1, call("r", 1))] * 180 + [call("q", 1, *[call("leaf")] * 3)] * 100
    roots += [call(f"z{i % 10}") for i in range(740)]
    assert advice.heaviest_below(trace_of(roots), Companion()) == "q"
