"""Threads that cannot start, or die of want of memory: nothing waits for them, and nothing is made up."""

from __future__ import annotations

import _thread
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from builder.tracedat import TEXT, Cpu, Kernel, trace_dat
from fuzz import inputs
from kfgraph.errors import InputError
from kfgraph.model import background
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat import feed, read
from kfgraph.tracefile.contents import read_contents

F = TEXT + 0x100
WORTH_BYTES = background._WORTH_BYTES
SYMBOLS = {F: ("T", "f", ""), TEXT + 0x200: ("T", "_etext", "")}


@pytest.fixture(scope="module")
def dat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three CPUs of a dozen pages each, compressed."""
    cpus = []
    for number in range(3):
        cpu = Cpu(Kernel(), number)
        for page in range(12):
            cpu.close_page()
            for i in range(9):
                at = 10_000 * page + 1_000 * i + 7 * number + 1_000_000
                cpu.entry(at, 42 + number, F, 0)
                cpu.exit(at + 50, 42 + number, F, 0, at, at + 50)
        cpus.append(cpu)
    path = tmp_path_factory.mktemp("background") / "t.dat"
    path.write_bytes(trace_dat(Kernel(), cpus, symbols=SYMBOLS, compression="zstd"))
    return path


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many groups, and room for few of them: both threads wait for each other, however small the file is."""
    monkeypatch.setattr(background, "_WORTH_BYTES", 0)
    monkeypatch.setattr(feed, "_GROUP_BYTES", 4096)
    monkeypatch.setattr(feed, "_AHEAD_BYTES", 8192)
    monkeypatch.setattr(background, "_LOOK_S", 0.02)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda problem: said.append(problem.exc_type))
    yield said


def same(found: Trace, wanted: Trace) -> None:
    found.check()
    assert len(found.calls) == len(wanted.calls) == 324
    for name in ("func", "lane", "cpu", "start_ns", "duration_ns"):
        assert np.array_equal(getattr(found.calls, name), getattr(wanted.calls, name)), name
    assert found.symbols.names == wanted.symbols.names


def starts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is run in threads from now on."""
    started: list[object] = []
    start = _thread.start_new_thread
    monkeypatch.setattr(_thread, "start_new_thread", lambda run, args: started.append(run) or start(run, args))
    return started


@pytest.fixture
def unlimited() -> None:
    if any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in background._LIMITS):
        pytest.skip("this suite runs under a limit of memory")


def test_two_threads_help_where_memory_is_not_limited(
    dat: Path, monkeypatch: pytest.MonkeyPatch, unlimited: None
) -> None:
    started = starts(monkeypatch)
    read(dat)
    assert len(started) == 2


def test_who_finds_nothing_ready_is_served_at_once(dat: Path, monkeypatch: pytest.MonkeyPatch, unlimited: None) -> None:
    """The thread has made as much as there is room for, of other CPUs: it does not sleep until it looks again."""
    monkeypatch.setattr(background, "_LOOK_S", 20)
    begin = time.monotonic()
    with closing(feed.Prefetcher(read_contents(dat))) as prefetcher:
        while prefetcher._n_made < feed._AHEAD_BYTES:
            time.sleep(0.01)
        time.sleep(0.1)
        sizes = [sum(len(piece.part) for piece in prefetcher.pieces(which)) for which in (2, 0, 1)]
    assert sizes == [12 * 4096] * 3
    assert time.monotonic() - begin < 15


def test_a_small_trace_is_read_without_threads(dat: Path, monkeypatch: pytest.MonkeyPatch, unlimited: None) -> None:
    """By the size of its data when it is expanded; nor is memory set aside for it."""
    wanted = read(dat)
    started = starts(monkeypatch)
    kept: list[bool] = []
    monkeypatch.setattr(feed, "_keep_freed_memory", lambda: kept.append(True))
    n_bytes = 3 * 12 * 4096
    assert dat.stat().st_size < n_bytes / 4
    for worth, n_threads in ((WORTH_BYTES, 0), (n_bytes + 1, 0), (n_bytes, 2)):
        monkeypatch.setattr(background, "_WORTH_BYTES", worth)
        started.clear()
        kept.clear()
        same(read(dat), wanted)
        assert (len(started), len(kept)) == (n_threads, n_threads // 2), worth


@pytest.mark.parametrize("name", ["file-0-v6-none", "file-1-v7-none", "file-2-v7-zlib", "file-3-v7-zstd"])
def test_damage_is_told_alike_with_threads_and_without(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most damaged files of this suite are small ones."""

    def outcome(worth: int) -> tuple[object, ...]:
        monkeypatch.setattr(background, "_WORTH_BYTES", worth)
        try:
            trace = read(path)
        except InputError as error:
            return error.message, error.hint
        trace.check()
        calls = trace.calls
        return trace.notices, trace.symbols.names, calls.func.tolist(), calls.duration_ns.tolist(), len(trace.marks)

    path = tmp_path / "t.dat"
    whole = inputs.seeds()[name][1:]
    lengths = set()
    for at in range(0, len(whole), 31):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        found = outcome(0)
        assert found == outcome(WORTH_BYTES), at
        lengths.add(len(found))
    assert lengths == {2, 5}


@pytest.mark.parametrize("limited", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_where_memory_is_limited_there_are_no_threads(
    dat: Path, limited: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = read(dat)
    started = starts(monkeypatch)
    getrlimit = resource.getrlimit
    monkeypatch.setattr(resource, "getrlimit", lambda n: (1 << 40, 1 << 40) if n == limited else getrlimit(n))
    same(read(dat), wanted)
    assert started == []


@pytest.mark.parametrize("problem", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_thread_that_cannot_be_started_is_done_without(
    dat: Path, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = read(dat)

    def none(*_: object) -> None:
        raise problem

    monkeypatch.setattr(_thread, "start_new_thread", none)
    same(read(dat), wanted)


def test_a_thread_without_memory_for_its_first_step_is_not_waited_for(
    dat: Path, monkeypatch: pytest.MonkeyPatch, quiet: list[object]
) -> None:
    start = _thread.start_new_thread

    def stillborn(work: Callable[[], None], args: tuple[()]) -> None:
        # Called without what it needs: it fails before a line of it runs, and only the thread holds it.
        start(work, (None, None))

    monkeypatch.setattr(_thread, "start_new_thread", stillborn)
    begin = time.monotonic()
    with pytest.raises(MemoryError):
        read(dat)
    assert time.monotonic() - begin < 60
    assert quiet


def test_a_thread_may_die_at_any_step(dat: Path, monkeypatch: pytest.MonkeyPatch, quiet: list[object]) -> None:
    """A MemoryError at the nth event of what it runs: the trace is whole, or there is none."""
    wanted = read(dat)
    at = n = 0

    class Failing(background._Work):
        __slots__ = ()

        def __call__(self) -> None:
            nonlocal n
            mine = 0

            def step(frame: object, _event: str, _value: object) -> object:
                nonlocal mine, n
                if "kfgraph" not in frame.f_code.co_filename:  # type: ignore[attr-defined]
                    return None
                mine += 1
                n = max(n, mine)
                if mine == at:
                    raise MemoryError
                return step

            before = sys.gettrace()
            sys.settrace(step)
            try:
                super().__call__()
            finally:
                sys.settrace(before)

    monkeypatch.setattr(background, "_Work", Failing)
    same(read(dat), wanted)
    last, outcomes = n, {"whole": 0, "none": 0}
    assert last > 300
    # All of the first, where threads begin; then one in seventeen.
    for at in [*range(1, 60), *range(60, last + 40, 17)]:
        begin = time.monotonic()
        try:
            same(read(dat), wanted)
            outcomes["whole"] += 1
        except MemoryError:
            outcomes["none"] += 1
        assert time.monotonic() - begin < 60, at
    assert outcomes["none"] > 50


def test_what_a_function_raises_is_raised_where_its_value_is_asked_for(quiet: list[object]) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    worker = background.Worker(broken)
    worker.join()
    with pytest.raises(ZeroDivisionError):
        worker.result()
    assert background.Worker(lambda: None).result() is None
    assert quiet == []
