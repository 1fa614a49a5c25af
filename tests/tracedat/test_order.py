"""Clocks that go back, depths and times beyond reason: what is wrong is flagged, and the rest is as it was."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat
from fuzz import inputs
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat import read

F, G = TEXT + 0x100, TEXT + 0x200
SYMBOLS = {F: ("T", "f", ""), G: ("t", "g", ""), TEXT + 0x300: ("T", "_etext", "")}


def checked(path: Path, *cpus: Cpu, version: int = 7, **extra: object) -> Trace:
    """The trace of these CPUs, which holds together."""
    file = path / "trace.dat"
    more = Extra(**extra)  # type: ignore[arg-type]
    file.write_bytes(trace_dat(cpus[0].kernel, cpus, symbols=SYMBOLS, version=version, extra=more))
    trace = read(file)
    trace.check()
    return trace


def counts(trace: Trace) -> dict[str, int]:
    return {notice.code: notice.n for notice in trace.notices}


def page_of_calls(cpu: Cpu, start: int, n: int = 3) -> None:
    """A page with ``n`` calls, 100 apart, from ``start`` on, wherever the clock was before."""
    cpu.close_page()
    cpu.clock = 0
    for i in range(n):
        cpu.entry(start + 100 * i, 42, F, 0)
        cpu.exit(start + 100 * i + 50, 42, F, 0, start + 100 * i, start + 100 * i + 50)


@pytest.mark.parametrize("wrong", [1 << 60, 5, 3_999])
def test_a_page_out_of_order_with_its_neighbours_is_damaged(wrong: int, tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 3)
    for start in (1_000, 2_000, wrong, 4_000, 5_000):
        page_of_calls(cpu, start)
    trace = checked(tmp_path, cpu)
    good = [1_000, 2_000, 4_000, 5_000] if wrong != 3_999 else [1_000, 2_000, 3_999, 4_000, 5_000]
    assert sorted(trace.calls.start_ns.tolist()) == sorted(start + 100 * i for start in good for i in range(3))
    if wrong != 3_999:
        assert counts(trace) == {"damaged-pages": 1, "lost-records": 1}
        assert (trace.losses.cpu.tolist(), trace.losses.n_lost.tolist()) == ([3], [-1])
    else:
        # Its timestamp is in order with its neighbours', only its last records are not.
        assert counts(trace) == {"clock-back": 1}
    assert trace.calls.duration_ns.tolist() == [50] * 3 * len(good)


def test_where_nobody_can_tell_which_page_is_wrong_both_stay(tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    cpu.entry(1_000_000, 42, F, 0)
    cpu.close_page()
    cpu.clock = 0
    cpu.entry(5_000, 42, G, 1)
    cpu.exit(6_000, 42, G, 1, 5_000, 6_000)
    cpu.exit(7_000, 42, F, 0, 4_000, 7_000)
    calls = checked(tmp_path, cpu).calls
    # The callee's time of entry would be before its caller's: it is not told, its duration is.
    assert calls.start_ns.tolist() == [1_000_000, -1]
    assert calls.has(Flag.START_UNKNOWN).tolist() == [False, True]
    assert calls.duration_ns.tolist() == [3_000, 1_000]
    assert calls.parent.tolist() == [-1, 0]


def test_a_clock_that_was_put_back_stays_there(tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    starts = (10_000, 11_000, 12_000, 5_000, 6_000, 7_000)
    for start in starts:
        page_of_calls(cpu, start)
    trace = checked(tmp_path, cpu)
    assert trace.calls.start_ns.tolist() == [start + 100 * i for start in starts for i in range(3)]
    assert counts(trace) == {"clock-back": 1}


def test_a_task_that_moves_to_a_cpu_whose_clock_is_behind(tmp_path: Path) -> None:
    ahead, behind = Cpu(Kernel(), 0), Cpu(Kernel(), 1)
    ahead.entry(10_000, 42, F, 0)
    behind.entry(20_000, 42, G, 1)
    behind.exit(20_500, 42, G, 1, 20_000, 20_500)
    behind.close_page()
    behind.clock = 0
    behind.entry(9_000, 42, G, 1)
    behind.exit(9_500, 42, G, 1, 9_000, 9_500)
    ahead.exit(30_000, 42, F, 0, 10_000, 30_000)
    calls = checked(tmp_path, ahead, behind).calls
    assert calls.parent.tolist() == [-1, 0, 0]
    assert calls.start_ns.tolist() == [10_000, 20_000, -1]
    # In the order of times the callee comes first: a root whose caller is not seen.
    behind = Cpu(Kernel(), 1)
    behind.entry(9_000, 42, G, 1)
    behind.exit(9_500, 42, G, 1, 9_000, 9_500)
    calls = checked(tmp_path, ahead, behind).calls
    assert calls.parent.tolist() == [-1, -1]
    assert calls.start_ns.tolist() == [9_000, 10_000]
    assert calls.has(Flag.DEPTH_JUMP).tolist() == [True, False]


def test_absolute_timestamps_and_conversions_that_go_back(tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    cpu.entry(1 << 40, 42, F, 0)
    cpu.absolute(1 << 39)
    cpu.entry((1 << 39) + 5, 42, G, 1)
    assert checked(tmp_path, cpu).calls.start_ns.tolist() == [1 << 40, -1]
    # An offset that takes the first records below zero, so that they wrap.
    cpu = Cpu(Kernel(), 0)
    cpu.entry(1_000, 42, F, 0)
    cpu.entry(3_000, 42, G, 1)
    trace = checked(tmp_path, cpu, options=[(7, b"-2000\0")])
    assert counts(trace)["clock-back"] == 1
    assert trace.calls.start_ns[1] == -1


@pytest.mark.parametrize("depths", [[-1] * 40_000, list(range(40_000)), [i // 2 for i in range(70_000)]])
def test_depths_beyond_16_bits(depths: list[int], tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    for i, depth in enumerate(depths):
        cpu.entry(1_000 + i, 42, F, depth)
    for i, depth in enumerate(reversed(depths)):
        cpu.exit(1_000_000 + i, 42, F, depth, 0, 1_000_000)
    calls = checked(tmp_path, cpu, version=6).calls
    assert calls.depth.min() >= -1
    assert calls.depth.max() == 32_000
    assert 32_000 <= calls.level.max() <= 32_000 + 512


def test_calltimes_beyond_reason_are_unknown(tmp_path: Path) -> None:
    most = (1 << 63) - 1
    cpu = Cpu(Kernel(), 0)
    cpu.entry(1_000, 42, F, 0)
    for at in (1_001, 1_003):
        cpu.entry(at, 42, G, 1)
        cpu.exit(at + 1, 42, G, 1, most, (most + most - 10) & (1 << 64) - 1)
    cpu.exit(1_005, 42, F, 0, 0, most)
    assert checked(tmp_path, cpu).calls.duration_ns.tolist() == [-1, -1, -1]


def busy() -> list[Cpu]:
    """Two tasks that call each other's functions and change CPUs, pages of 128 bytes."""
    cpus = [Cpu(Kernel(page_size=128), number) for number in range(2)]
    time = 1_000
    for round_ in range(6):
        for pid in (7, 8):
            here, there = cpus[(round_ + pid) % 2], cpus[round_ % 2]
            for depth in range(3):
                time += 10
                here.entry(time, pid, F + 0x10 * depth, depth)
            for depth in (2, 1, 0):
                time += 10
                there.exit(time, pid, F + 0x10 * depth, depth, time - 60 + 20 * depth, time)
    return cpus


BUSY = trace_dat(busy()[0].kernel, busy(), symbols=SYMBOLS, version=6)
N_PAGES = sum(len(cpu.pages()) // 128 for cpu in busy())
PAGES_AT = len(BUSY) - 128 * N_PAGES


def test_the_busy_file_is_what_it_should_be(tmp_path: Path) -> None:
    trace = checked(tmp_path, *busy(), version=6)
    assert not trace.notices
    assert (len(trace.calls), N_PAGES) == (36, 30)
    assert all(a <= b for lane in (0, 1) for a, b in pairwise(trace.calls.start_ns[trace.calls.lane == lane]))


def test_bytes_of_the_pages_flipped(tmp_path: Path) -> None:
    for at in range(PAGES_AT, len(BUSY), 7):
        damaged = bytearray(BUSY)
        damaged[at] ^= (0xFF, 0x80, 0x01)[at % 3]
        (tmp_path / "t.dat").write_bytes(damaged)
        assert inputs.outcome(tmp_path / "t.dat") == "trace"


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, N_PAGES - 1),
            # Timestamps and lengths of pages far more often than what is behind them.
            st.sampled_from([*range(16), *range(16), *range(16), *range(16, 128)]),
            st.integers(0, 7),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_bits_of_pages_flipped(changes: list[tuple[int, int, int]], tmp_path: Path) -> None:
    damaged = bytearray(BUSY)
    for page, at, bit in changes:
        damaged[PAGES_AT + 128 * page + at] ^= 1 << bit
    (tmp_path / "t.dat").write_bytes(damaged)
    assert inputs.outcome(tmp_path / "t.dat") == "trace"
