"""What `load` makes of every kind of input, good and bad."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zstandard

from builder.tracedat import Cpu, Extra, Kernel, trace_dat
from kfgraph.errors import InputError, MachineError, NoMatchError, UsageError
from kfgraph.parse import (
    READERS,
    load,
    rawreport,
)
from reference.cases import FIXTURES, load_checked, read, rows, unpack

LEAF = b"              ls-347   [001]   432.933632: funcgraph_entry:        1.500 us   |  f();\n"
MANY = b"cpus=2\n" + b"".join(LEAF.replace(b"f();", b"f%d();" % i) for i in range(20_000))
PACKED = {
    "gz": gzip.compress(MANY),
    "xz": lzma.compress(MANY),
    "zst": zstandard.ZstdCompressor().compress(MANY),
}


@pytest.mark.parametrize("kind", PACKED)
def test_compressed_input(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "whatever"
    path.write_bytes(PACKED[kind])
    trace = load_checked(path)
    assert len(trace.calls) == 20_000 and not trace.notices
    path.write_bytes(PACKED[kind] + PACKED[kind])
    assert len(load_checked(path).calls) == 40_000, "members one after another"


@pytest.mark.parametrize("kind", PACKED)
def test_a_cut_compressed_file_gives_what_stands_before_the_cut(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(PACKED[kind][: len(PACKED[kind]) * 9 // 10])
    trace = load_checked(path)
    assert 10_000 < len(trace.calls) < 20_000
    assert trace.notices[0].code == "cut-input" and "compressed data is cut" in trace.notices[0].text


FEW = b"cpus=2\n" + b"".join(LEAF.replace(b"f();", b"f%d();" % (i * i * 7919)) for i in range(400))


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize(
    "text", [FEW, b"x" + FEW, bytes(range(256)) * 9, b"\x17\x08\x44tracing6\0" + bytes(range(250))]
)
def test_a_compressed_file_says_that_it_is_cut_however_early(kind: str, text: bytes, tmp_path: Path) -> None:
    pack = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.ZstdCompressor().compress}[kind]
    packed, path = pack(text), tmp_path / "cut"
    for n in range(2, min(len(packed), 400)):
        path.write_bytes(packed[:n])
        try:
            trace = load_checked(path)
        except InputError as error:
            assert "its compressed data is cut" in error.message and str(path) in error.message, n
        else:
            assert "cut-input" in [notice.code for notice in trace.notices], n


def test_a_buffer_that_may_be_in_what_is_cut_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(PACKED["gz"][: len(PACKED["gz"]) // 2])
    with pytest.raises(NoMatchError, match=r"its compressed data is cut"):
        load(path, buffer="other")


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_a_damaged_compressed_file_too(kind: str, tmp_path: Path) -> None:
    data = bytearray(PACKED[kind])
    at = len(data) * 9 // 10
    data[at : at + 40] = bytes(byte ^ 0xFF for byte in data[at : at + 40])
    path = tmp_path / "damaged"
    path.write_bytes(bytes(data))
    try:
        trace = load_checked(path)
    except InputError as error:
        # xz checks a block before it gives any of it.
        assert kind == "xz" and "damaged" in error.message
    else:
        assert 0 < len(trace.calls) <= 20_000 and trace.notices[0].code == "cut-input"


def test_a_bomb_is_unpacked_a_bit_at_a_time() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(LEAF + b" " * (1 << 28))
    assert len(bomb) < 1 << 16
    script = (
        "import io, re, sys\n"
        "from kfgraph.parse import load\n"
        "trace = load(io.BytesIO(sys.stdin.buffer.read()))\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024\n"
        "print(len(trace.calls), peak)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=bomb, capture_output=True, check=True)
    n_calls, peak_mib = map(int, done.stdout.split())
    assert n_calls == 1 and peak_mib < 250


def test_open_files_and_pipes(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_bytes(MANY)
    with path.open("rb") as file:
        assert len(load(file).calls) == 20_000
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(MANY)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        assert len(load(pipe).calls) == 20_000
    thread.join()
    with path.open() as text, pytest.raises(InputError, match="returns text, not bytes"):
        load(text)  # type: ignore[arg-type]


def test_standard_input(tmp_path: Path) -> None:
    script = "from kfgraph.parse import load; print(repr(load('-')))"
    done = subprocess.run([sys.executable, "-c", script], input=PACKED["gz"], capture_output=True, check=True)
    assert done.stdout.decode() == "<Trace standard input: 20,000 calls, 1 task>\n"


BAD = {
    "empty": (b"", "empty"),
    "blanks": (b"\n\n\n", "not a trace"),
    "binary rubbish": (bytes(range(256)) * 50, "not a trace"),
    "prose": (b"It was a dark and stormy night.\n" * 100, "not a trace"),
    "an ELF file": (b"\x7fELF\x02\x01\x01" + b"\0" * 500, "ELF"),
    "perf.data": (b"PERFILE2" + b"\0" * 500, "perf.data"),
    "bzip2": (b"BZh91AY&SY" + b"\0" * 100, "bzip2"),
    "an empty gzip": (gzip.compress(b""), "empty"),
    "a bare gzip header": (gzip.compress(b"x" * 100)[:8], "cut"),
    "no funcgraph line": (b"cpus=2\n" + LEAF.split(b"funcgraph")[0] + b"sched_switch: a ==> b\n", "only other events"),
    "no funcgraph line, raw": (b"      ls-3     0-0x0    66.351228267: sched_switch:   a=1\n" * 9, "only other events"),
    "only a header": (b"cpus=2\n", "no function_graph records"),
    "the function tracer": (b"# tracer: function\n#\n", "function tracer"),
    "the nop tracer": (b"# tracer: nop\n#\n", "nop tracer"),
    "a trace.dat's first bytes": (b"\x17\x08\x44tracing7\0\0", "past the end"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_with_a_hint(what: str, tmp_path: Path) -> None:
    data, said = BAD[what]
    path = tmp_path / "input"
    path.write_bytes(data)
    with pytest.raises(InputError) as problem:
        load(path)
    error = problem.value
    assert said in error.message and str(path) in error.message and "\n" not in error.message
    assert error.hint and "\n" not in error.hint and error.exit_code == 5


def test_a_directory_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory") as problem:
        load(tmp_path)
    assert "trace.dat" in problem.value.hint
    (tmp_path / "trace.dat").write_bytes(MANY)
    with pytest.raises(InputError, match="is a directory") as problem:
        load(tmp_path)
    assert problem.value.hint == f"did you mean {tmp_path / 'trace.dat'}?"
    with pytest.raises(InputError, match="no such file") as problem:
        load(tmp_path / "nothing")
    assert "kfgraph trace" in problem.value.hint
    with pytest.raises(InputError, match="cannot be opened"):
        load("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="extra: root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(MANY)
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        load(path)


def test_one_endless_line_is_no_trap() -> None:
    trace = read(LEAF + b"x" * (5 << 20) + b"\n" + LEAF)
    assert len(trace.calls) == 2 and trace.notices[0].code == "unread-line"


def test_readers_by_name() -> None:
    assert [reader.name for reader in READERS][-2:] == ["report", "ftrace"]
    assert len(read(MANY, reader="report").calls) == 20_000
    with pytest.raises(InputError, match="nothing for the ftrace reader"):
        read(b"cpus=1\n", reader="ftrace")
    with pytest.raises(UsageError, match="no reader 'nonsense'") as problem:
        read(MANY, reader="nonsense")
    assert "report, ftrace" in problem.value.hint
    with pytest.raises(NoMatchError, match="no records of a buffer 'inst'"):
        read(MANY, buffer="inst")
    with pytest.raises(NoMatchError, match="this text has no named buffers"):
        load_checked(FIXTURES / "6.1-ftrace-default.txt.xz", buffer="inst")


def test_nothing_is_lost_at_the_borders_of_chunks_and_batches() -> None:
    """More lines than a batch has rows, in reads of every size."""

    class Slow(io.RawIOBase):
        def __init__(self, data: bytes, step: int) -> None:
            self.data, self.step, self.at = data, step, 0

        def read(self, size: int = -1) -> bytes:
            piece = self.data[self.at : self.at + min(size, self.step)]
            self.at += len(piece)
            return piece

    text = MANY * 4
    trace = load(Slow(text, 4_093))
    assert len(trace.calls) == 80_000 and trace.meta.n_records == 80_000
    assert int(trace.calls.duration_ns.sum()) == 80_000 * 1_500
    assert [(notice.code, notice.n) for notice in trace.notices] == [("another-recording", text.count(b"cpus=") - 1)]
    assert trace.meta.details["n_lines"] == text.count(b"\n")


def test_a_trace_dat_through_trace_cmd(shared_traces: Path, program) -> None:
    program("trace-cmd", "trace-cmd")
    trace = load_checked(shared_traces / "6.12" / "thresh.dat", reader="report")
    meta = trace.meta
    assert (meta.reader, meta.kernel, meta.host, meta.arch, meta.clock, meta.n_cpus, meta.recorder, meta.n_overrun) == (
        "report", "6.12.95+deb12-amd64", "virtme-ng", "x86_64", "local", 2, "trace-cmd 3.1.6", 0
    )  # fmt: skip
    # The raw form cuts comms to 8 letters; the saved command lines have them whole.
    assert {task.comm for task in trace.tasks.tasks} == {"ls", "kworker/0:2", "kcompactd0"} or all(
        len(task.comm) != 8 for task in trace.tasks.tasks
    )
    assert len(trace.calls) == 1_040 and trace.calls.duration_ns.min() > 200_000


def test_statistics_of_the_file_and_losses_stay_apart(shared_traces: Path, program) -> None:
    program("trace-cmd", "trace-cmd")
    trace = load_checked(shared_traces / "6.12" / "ls-lost.dat", reader="report")
    assert (trace.n_lost_marks, trace.n_lost_counted, trace.meta.n_overrun) == (212, 796_575, 245_681 + 820_863)


def test_ticks_of_a_trace_dat(shared_traces: Path, program) -> None:
    program("trace-cmd", "trace-cmd")
    trace = load_checked(shared_traces / "6.12" / "true-tsc.dat", reader="report")
    assert (trace.meta.clock, trace.meta.clock_unit, len(trace.calls)) == ("x86-tsc", "ticks", 30_525)
    assert (trace.calls.start_ns == -1).all() and set(trace.calls.context.tolist()) == {0, 1, 2}


def test_a_compressed_trace_dat_through_trace_cmd(shared_traces: Path, program) -> None:
    program("trace-cmd", "trace-cmd")
    trace = load_checked(shared_traces / "6.12" / "true-v6.dat.xz", reader="report")
    assert len(trace.calls) == 32_599 and trace.meta.path.endswith("true-v6.dat.xz") and trace.meta.clock == "local"


def several_buffers(path: Path) -> None:
    """f in the main buffer, around g in a buffer of its own, both in the same task."""
    kernel, f, g = Kernel(), 0xFFFFFFFF81000000, 0xFFFFFFFF81000100
    main, other = Cpu(kernel, 0), Cpu(kernel, 0)
    main.entry(1_000_000_000, 42, f, 0)
    main.exit(1_000_002_000, 42, f, 0, 1_000_000_000, 1_000_002_000)
    other.entry(1_000_000_500, 42, g, 0)
    other.exit(1_000_001_500, 42, g, 0, 1_000_000_500, 1_000_001_500)
    extra = Extra(buffers={"probes": [other]})
    path.write_bytes(trace_dat(kernel, [main], symbols={f: ("T", "f", ""), g: ("T", "g", "")}, extra=extra))


def test_overruns_of_all_cpus_are_added_up() -> None:
    text = "[Option CPUSTAT, 60 bytes]\nCPU: 0\noverrun: 7\ncommit overrun: 1\n[Option CPUSTAT]\nCPU: 1\noverrun: 35\n"
    assert (rawreport._meta(text).n_overrun, rawreport._meta("").n_overrun) == (42, -1)


def test_long_names_of_tasks_are_whole_through_trace_cmd(tmp_path: Path, program) -> None:
    program("trace-cmd", "trace-cmd")
    kernel, f = Kernel(), 0xFFFFFFFF81000000
    cpu = Cpu(kernel, 0)
    comms = {41: "a_long_command", 42: "exactly8", 43: "cat", 44: "exactly8more"}
    for i, pid in enumerate(comms):
        cpu.entry(1_000_000_000 + i * 10_000, pid, f, 0)
        cpu.exit(1_000_002_000 + i * 10_000, pid, f, 0, 1_000_000_000 + i * 10_000, 1_000_002_000 + i * 10_000)
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat(kernel, [cpu], symbols={f: ("T", "f", "")}, extra=Extra(comms=comms)))
    trace = load_checked(path, reader="report")
    assert {task.pid: task.comm for task in trace.tasks.tasks} == comms


@pytest.mark.parametrize("form", ["pretty", "raw", "raw without latency", "dat"])
def test_several_buffers_are_not_mixed(form: str, tmp_path: Path, program) -> None:
    trace_cmd = program("trace-cmd", "trace-cmd")
    path = tmp_path / "trace.dat"
    several_buffers(path)
    options = {"pretty": [], "raw": ["-R", "-t", "-l"], "raw without latency": ["-R"]}.get(form)
    if options is not None:
        done = subprocess.run([trace_cmd, "report", *options, "-i", str(path)], capture_output=True, check=True)
        lines = done.stdout.splitlines(keepends=True)
        # A raw line of the main buffer alone, with blanks in front, could be of another layout: a named one leads.
        path.write_bytes(b"".join(sorted(lines, reverse=True, key=lambda line: b"probes" in line)))
    for buffer, durations, other in ((None, [2_000], "probes"), ("probes", [1_000], "(main)")):
        trace = load_checked(path, reader="report", buffer=buffer)
        assert trace.calls.duration_ns.tolist() == durations and [task.pid for task in trace.tasks.tasks] == [42]
        assert [(notice.code, notice.text) for notice in trace.notices] == [
            ("other-buffers", f"other trace buffers in the file: {other}")
        ]
    with pytest.raises(NoMatchError, match="no records of a buffer 'nope'") as problem:
        load(path, reader="report", buffer="nope")
    assert "'probes'" in problem.value.hint


def test_several_files_in_one_text_are_not_mixed() -> None:
    text = b"".join(b"%14s: cpus=2\n%14s: " % (name, name) + LEAF for name in (b"a.dat", b"b.dat"))
    with pytest.raises(NoMatchError, match="no records of a main buffer") as problem:
        read(text)
    assert "'a.dat', 'b.dat'" in problem.value.hint
    trace = read(text, buffer="b.dat")
    assert len(trace.calls) == 1 and trace.tasks[0].comm == "ls"
    assert [notice.code for notice in trace.notices] == ["other-buffers"]


def test_a_damaged_trace_dat_through_trace_cmd(shared_traces: Path, program, tmp_path: Path) -> None:
    program("trace-cmd", "trace-cmd")
    path = tmp_path / "cut.dat"
    path.write_bytes((shared_traces / "6.12" / "thresh.dat").read_bytes()[:300_000])
    with pytest.raises(InputError) as problem:
        load(path, reader="report")
    assert "trace-cmd" in problem.value.message and str(path) in problem.value.message and problem.value.hint


def test_without_trace_cmd_that_reader_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.dat"
    path.write_bytes(b"\x17\x08\x44tracing7\0" + b"\0" * 100)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="trace-cmd is not installed") as problem:
        load(path, reader="report")
    assert "apt-get install trace-cmd" in problem.value.hint


def test_the_argv_is_a_list_and_the_path_is_never_an_option() -> None:
    from kfgraph.parse.rawreport import report_argv

    assert report_argv(Path("-x; rm")) == ["trace-cmd", "report", "-R", "-t", "-l", "-i", "-x; rm"]


def test_a_fixture_reads_the_same_packed_and_unpacked(tmp_path: Path) -> None:
    packed = FIXTURES / "6.12-report-ls-lost.txt.xz"
    plain = tmp_path / "plain.txt"
    plain.write_bytes(unpack(packed))
    assert rows(load_checked(packed), "start_ns", "duration_ns") == rows(load_checked(plain), "start_ns", "duration_ns")


@pytest.mark.parametrize("name", ["trace.dat", "report.txt"])
def test_the_columns_of_a_loaded_trace_are_not_written_to(name: str, tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "insmod-foo-fail19.dat"
    path = tmp_path / name
    if name == "trace.dat":
        path.write_bytes(example.read_bytes())
        # A companion replaces columns: those are read-only too.
        companion = example.with_name(f"{example.name}.kfgraph.json")
        path.with_name(f"{name}.kfgraph.json").write_bytes(companion.read_bytes())
    else:
        path.write_text(
            "cpus=1\n"
            "  bash-123 [000] 100.000000000: funcgraph_entry:                   |  f() {\n"
            "  bash-123 [000] 100.000002000: sys_exit:             NR 257 = -2\n"
            "CPU:0 [5 EVENTS DROPPED]\n"
            "  bash-123 [000] 100.000003000: funcgraph_exit:         3.000 us   |  }\n"
        )
    trace = load(path)
    assert len(trace.calls) and len(trace.marks) and len(trace.losses) == (name == "report.txt")
    tables = (trace.calls, trace.marks, trace.losses, trace.symbols)
    columns = [item for table in tables for item in vars(table).items()]
    arrays = [(key, value) for key, value in columns if isinstance(value, np.ndarray)]
    assert len(arrays) > 25
    assert [key for key, value in arrays if value.flags.writeable] == []
    with pytest.raises(ValueError, match="read-only"):
        trace.calls.flags[0] = 0
    changed = trace.calls.with_columns(flags=trace.calls.flags | np.uint32(1))
    changed.flags[0] = 7
    assert trace.calls.flags[0] != 7
