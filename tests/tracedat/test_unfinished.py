"""Files whose recorder did not finish: every page that is there is read, and it is said what is missing."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat
from kfgraph import load
from kfgraph.errors import InputError, NoMatchError
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat import read

F = TEXT + 0x100
SYMBOLS = {F: ("T", "f", ""), TEXT + 0x300: ("T", "_etext", "")}


def calls_of(number: int, n: int = 300, *, kernel: Kernel | None = None, start: int = 1_000) -> Cpu:
    cpu = Cpu(kernel or Kernel(), number)
    for i in range(n):
        at = start + 1_000 * i
        cpu.entry(at, 10 + number, F, 0)
        cpu.exit(at + 500, 10 + number, F, 0, at, at + 450)
    return cpu


def checked(path: Path, *, buffer: str | None = None) -> Trace:
    trace = read(path, buffer=buffer)
    trace.check()
    return trace


def without_list(kernel: Kernel, *cpus: Cpu, compression: str = "none", extra: Extra | None = None) -> bytes:
    """A file of version 7 that ends where its list of CPUs would begin."""
    whole = trace_dat(kernel, cpus, symbols=SYMBOLS, compression=compression, extra=extra)
    at = whole.index(compression.encode() + b"\x001.0\0") + len(compression) + 5
    (options,) = struct.unpack_from(kernel.order + "Q", whole, at)
    return whole[:at] + bytes(8) + whole[at + 8 : options]


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
@pytest.mark.parametrize("kernel", [Kernel(), Kernel(big_endian=True), Kernel(long_size=4)])
def test_each_cpus_data_begins_where_time_goes_back(kernel: Kernel, compression: str, tmp_path: Path) -> None:
    cpus = [calls_of(number, kernel=kernel) for number in range(3)]
    path = tmp_path / "trace.dat"
    path.write_bytes(without_list(kernel, *cpus, compression=compression))
    trace = checked(path)
    assert len(trace.calls) == 900
    assert set(trace.calls.duration_ns.tolist()) == {450}
    assert sorted({(task.pid, int(cpu)) for task, cpu in zip(
        [trace.tasks[int(lane)] for lane in trace.calls.lane], trace.calls.cpu, strict=True
    )}) == [(10, 0), (11, 1), (12, 2)]
    (notice,) = trace.notices
    assert notice.code == "cut-file"
    assert "taken for CPUs 0 to 2 of the main buffer" in notice.text


def test_where_time_never_goes_back_it_is_one_cpu(tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    path.write_bytes(without_list(Kernel(), calls_of(0), calls_of(1, start=1_000_000)))
    trace = checked(path)
    assert (len(trace.calls), set(trace.calls.cpu.tolist())) == (600, {0})
    assert "taken for one CPU of the main buffer" in trace.notices[0].text


def test_the_head_of_another_buffer_and_the_last_cut_page(tmp_path: Path) -> None:
    content = without_list(Kernel(), calls_of(0), extra=Extra(buffers={"more": [calls_of(1)]}))
    path = tmp_path / "trace.dat"
    for cut in (0, 100, 4_000):
        path.write_bytes(content[: len(content) - cut])
        trace = checked(path)
        assert 300 <= len(trace.calls) <= 600
        assert set(trace.calls.duration_ns.tolist()) <= {450, -1}


@pytest.mark.parametrize("content", [b"", b"\0" * 5_000, b"\xff" * 5_000])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_without_any_data_it_is_said_where_it_ends(content: bytes, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    path.write_bytes(without_list(Kernel(), compression=compression) + content)
    with pytest.raises(InputError, match=r"holds no trace data: .*\(at byte \d+\)"):
        read(path)


def test_a_finished_file_without_a_buffer_names_its_list(tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    head = b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0none\0" + b"1.0\0"
    at = len(head) + 8
    path.write_bytes(head + struct.pack("<QHHIQHIQ", at, 0, 0, 0, 14, 0, 8, 0))
    with pytest.raises(InputError, match=rf"holds no trace data: no buffer is listed \(at byte {at}\)"):
        read(path)


@pytest.mark.parametrize("version", [6, 7])
def test_named_buffers_leave_files_too(version: int, tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    if version == 7:
        path.write_bytes(without_list(Kernel()))
    else:
        whole = trace_dat(Kernel(), [], symbols=SYMBOLS, version=6)
        path.write_bytes(whole[: whole.index(b"options  \0") - 4])
    for name, numbers in (("", (0, 1)), ("probes.", (0,)), ("a.b.", (3,))):
        for number in numbers:
            (tmp_path / f"trace.dat.{name}cpu{number}").write_bytes(calls_of(number, 20).pages())
    for other in ("trace.dat.cpu", "trace.dat.cpu01", "trace.dat.xcpu0", "trace.data.cpu0", "trace.dat.cpu99999"):
        (tmp_path / other).write_bytes(b"no page")
    trace = checked(path)
    assert set(trace.calls.cpu.tolist()) == {0, 1}
    assert trace.meta.buffers == ("", "a.b", "probes")
    assert {"leftover-files", "other-buffers"} <= {notice.code for notice in trace.notices}
    assert next(n for n in trace.notices if n.code == "leftover-files").details == {"n_files": 4}
    assert len(checked(path, buffer="probes").calls) == 20
    assert checked(path, buffer="a.b").calls.cpu.tolist() == [3] * 20
    with pytest.raises(NoMatchError, match="no buffer 'x'"):
        read(path, buffer="x")


def test_counts_stand_before_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    whole = trace_dat(Kernel(), [calls_of(number, 2_000) for number in range(3)], symbols=SYMBOLS, compression="zlib")
    at = whole.index(b"zlib\x001.0\0") + 9
    (options,) = struct.unpack_from("<Q", whole, at)
    # The list of CPUs, moved before their data: it can be read, and two CPUs' data cannot.
    cut = len(whole[:options]) * 2 // 3
    path.write_bytes(whole[:at] + struct.pack("<Q", cut) + whole[at + 8 : cut] + whole[options:])
    trace = checked(path)
    notice = next(notice for notice in trace.notices if notice.code == "cut-file")
    assert notice.n > 1
    assert notice.text.startswith("places where the file ends early, the first: ")
    assert notice.details["offset"] > 0


def test_parts_without_their_trace_are_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "my trace.dat"
    parts = [tmp_path / f"my trace.dat.cpu{number}" for number in range(2)]
    for part in parts:
        part.write_bytes(calls_of(0).pages())
    remedy = f"trace-cmd restore -o '{path}.restored' '{parts[0]}' '{parts[1]}'"
    with pytest.raises(InputError, match="no such file; a killed recorder left only its parts") as caught:
        load(path)
    assert remedy in caught.value.hint
    with pytest.raises(InputError, match="one CPU's part of a recording that was not finished") as caught:
        load(parts[1])
    assert remedy in caught.value.hint
    # A trace that breaks off before its event formats cannot say what is in the parts.
    path.write_bytes(trace_dat(Kernel(), [], symbols=SYMBOLS, version=6)[:100])
    with pytest.raises(InputError, match=r"\(at byte \d+\)") as caught:
        load(path)
    assert remedy in caught.value.hint
    with pytest.raises(InputError, match="one CPU's part") as caught:
        load(parts[0])
    assert caught.value.hint == f"name {path}: its parts are read with it"


def test_a_named_buffers_part_leads_to_its_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    path.write_bytes(without_list(Kernel()))
    part = tmp_path / "trace.dat.probes.cpu3"
    part.write_bytes(calls_of(0).pages())
    with pytest.raises(InputError, match="one CPU's part") as caught:
        load(part)
    assert caught.value.hint == f"name {path}: its parts are read with it"
    missing = tmp_path / "other.dat"
    with pytest.raises(InputError, match="no such file") as caught:
        load(missing)
    assert "restore" not in caught.value.hint
