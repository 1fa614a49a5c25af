"""What every reader must do: one contract over READERS."""

from __future__ import annotations

import gzip
import io
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings

from builder.tables import call, deep, trace_of, traces, wide
from builder.text import ftrace_text, report_text
from builder.tracedat import dat_of
from kfgraph.errors import InputError
from kfgraph.model.calls import Flag
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.parse import READERS, load

Writer = Callable[[Trace], bytes]

# (reader, what is written) -> writer. Every reader must have one: see the first test.
WRITERS: dict[tuple[str, str], Writer] = {
    ("dat", "v7"): dat_of,
    ("dat", "v6"): partial(dat_of, version=6),
    ("dat", "v7 zstd"): partial(dat_of, compression="zstd"),
    ("report", "3.1"): lambda trace: report_text(trace).encode(),
    ("report", "latency column"): lambda trace: report_text(trace, latency=True).encode(),
    ("ftrace", "abstime, proc"): lambda trace: ftrace_text(trace).encode(),
}
EACH = pytest.mark.parametrize("case", WRITERS, ids=" ".join)
TEXTS = pytest.mark.parametrize("case", [case for case in WRITERS if case[0] != "dat"], ids=" ".join)
TELLS_CONTEXT = {("dat", "v7"), ("dat", "v6"), ("dat", "v7 zstd"), ("report", "latency column")}

# What a text can tell: no function without a name, no module.
TEXT_NAMES = ("alpha", "beta", "do_one_initcall", "0xffffffffc0a9d01f", "__x64_sys_openat", "a.isra.0")


def test_every_reader_is_under_this_contract() -> None:
    assert {reader for reader, _ in WRITERS} == {reader.name for reader in READERS}


def facts(trace: Trace, *, context: bool) -> list[tuple[object, ...]]:
    """Each call by what all readers must agree on, in the order of tasks and calls."""
    calls = trace.calls
    odd = Flag.NO_ENTRY | Flag.NO_EXIT | Flag.IN_TRACER | Flag.DEPTH_JUMP
    rows = [
        (
            trace.tasks[int(calls.lane[row])].pid,
            trace.symbols.label(int(calls.func[row])),
            int(calls.level[row]),
            int(calls.cpu[row]),
            int(calls.duration_ns[row]),
            int(calls.self_ns[row]),
            int(calls.context[row]) if context else None,
            Flag(int(calls.flags[row])) & odd,
        )
        for row in range(len(calls))
    ]
    return sorted(rows, key=lambda fact: fact[0])  # stable: calls stay in order within a task


def read_back(case: tuple[str, str], trace: Trace, folder: Path, data: bytes | None = None) -> Trace:
    path = folder / "trace"
    path.write_bytes(WRITERS[case](trace) if data is None else data)
    found = load(path)
    found.check()
    assert found.meta.reader == case[0]
    return found


@EACH
@given(traces(TEXT_NAMES))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_what_is_read(case, tmp_path, trace) -> None:
    if not len(trace.calls):
        return
    context = case in TELLS_CONTEXT
    assert facts(read_back(case, trace, tmp_path), context=context) == facts(trace, context=context)


@EACH
def test_one_call(case, tmp_path) -> None:
    found = read_back(case, trace_of([call("f", 1_500)]), tmp_path)
    assert len(found.calls) == 1 and found.calls.duration_ns.tolist() == found.calls.self_ns.tolist() == [1_500]
    assert found.symbols.label(int(found.calls.func[0])) == "f" and not found.notices


@EACH
def test_a_trace_without_calls_is_none_or_is_said_to_have_none(case, tmp_path) -> None:
    data = WRITERS[case](trace_of([]))
    if case[0] == "dat":  # a whole recording, of nothing
        assert len(read_back(case, trace_of([]), tmp_path).calls) == 0
        return
    path = tmp_path / "trace"
    path.write_bytes(data)  # a text without a line of the graph could be anything
    with pytest.raises(InputError) as problem:
        load(path)
    assert "trace" in problem.value.message and problem.value.hint


@EACH
def test_5000_levels(case, tmp_path) -> None:
    found = read_back(case, deep(5_000), tmp_path)
    assert int(found.calls.level.max()) == 4_999 and int(found.calls.self_ns.sum()) == 5_000


@EACH
def test_100000_siblings(case, tmp_path) -> None:
    found = read_back(case, wide(100_000), tmp_path)
    assert len(found.calls) == 100_001 and len(found.calls.roots) == 1
    assert int(found.calls.self_ns.sum()) == 1_000_010


@EACH
def test_odd_names_of_tasks(case, tmp_path) -> None:
    names = ["kworker/0:1", "a-b-1", "(sd-pam)", "[red]"]
    trace = trace_of(*[[call("f", 10_000)] for _ in names], tasks=[Task(50 + i, n) for i, n in enumerate(names)])
    found = read_back(case, trace, tmp_path)
    assert sorted(task.pid for task in found.tasks.tasks) == [50, 51, 52, 53]
    # The tracefs file cuts names to seven letters.
    assert {task.comm for task in found.tasks.tasks} in ({*names}, {n[:7] for n in names})


@TEXTS  # the cuts of a trace.dat, which has a structure to lose, are in tests/tracedat
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_what_is_left_of_a_cut_file_is_read(case, share, tmp_path) -> None:
    whole = trace_of([call("a", 1_000, *[call("b", 2_000, call("c", 3_000)) for _ in range(50)])])
    data = WRITERS[case](whole)
    found = read_back(case, whole, tmp_path, data[: int(len(data) * share)])
    assert 10 * share < len(found.calls) <= 101 * share + 3
    assert found.n_unfinished >= 1 and found.notices


@EACH
@pytest.mark.parametrize(
    "pack", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "xz", "zstd"]
)
def test_compressed_input_is_seen_through(case, pack, tmp_path) -> None:
    trace = trace_of([call("f", 10_000, call("g", 20_000))])
    found = read_back(case, trace, tmp_path, pack(WRITERS[case](trace)))
    assert found.calls.duration_ns.tolist() == [30_000, 20_000]


@EACH
def test_a_pipe_is_read(case, tmp_path) -> None:
    class Pipe(io.RawIOBase):
        """Gives a few bytes at a time and cannot seek."""

        def __init__(self, data: bytes) -> None:
            self.data = data

        def readable(self) -> bool:
            return True

        def readinto(self, into: bytearray) -> int:  # type: ignore[override]
            piece, self.data = self.data[: min(777, len(into))], self.data[min(777, len(into)) :]
            into[: len(piece)] = piece
            return len(piece)

    trace = trace_of([call("f", 10_000, *[call("g", 20_000)] * 100)])
    found = load(io.BufferedReader(Pipe(WRITERS[case](trace))))
    assert facts(found, context=False) == facts(trace, context=False)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_says_what_it_reads_and_refuses_rubbish(reader, tmp_path) -> None:
    assert reader.reads and not reader.sniff(b"") and not reader.sniff(b"\x00\x01\x02" * 100)
    path = tmp_path / "rubbish"
    path.write_bytes(b"\x00\x01\x02" * 1_000)
    with pytest.raises(InputError):
        load(path, reader=reader.name)
