"""Fuzz inputs -> files, the outcomes that are allowed, and the seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from builder import tracedat as build
from kfgraph.errors import InputError
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat import read, records

PAGE = 128
KERNELS = (
    build.Kernel(page_size=PAGE),
    build.Kernel(page_size=PAGE, big_endian=True),
    build.Kernel(page_size=PAGE, long_size=4),
    build.Kernel(page_size=PAGE, retval=True, args=True, depth_size=8),
)
FUNC = 0xFFFFFFFF81000100


def file_of(data: bytes) -> bytes:
    """The trace.dat that an input stands for: its first byte says what the rest is."""
    kind, rest = data[:1] or b"\0", data[1:]
    kernel = KERNELS[kind[0] >> 2 & 3]
    what = kind[0] & 3
    if what == 0:
        return rest
    cpu = build.Cpu(kernel, 0)
    cpu.entry(1_000, 7, FUNC, 0)
    cpu.exit(2_000, 7, FUNC, 0, 1_000, 2_000)
    whole = build.trace_dat(kernel, [cpu], symbols={FUNC: ("T", "f", "")}, version=6)
    if what == 1:
        # Version 6: the pages are the end of the file, their size stands before them.
        size = len(rest) // 4 * 4
        at = whole.index(b"flyrecord\0") + 10 + 8
        start = len(whole) - PAGE
        return whole[:at] + kernel.pack("Q", size) + whole[at + 8 : start] + rest[:size]
    names = build.kallsyms({FUNC: ("T", "f", "")}, kernel)
    if what == 2:
        old, new = kernel.pack("I", len(names)) + names, kernel.pack("I", len(rest)) + rest
    else:
        block = build.format_block("funcgraph_exit", build.EXIT_ID, kernel.exit_fields())
        old, new = kernel.pack("Q", len(block)) + block, kernel.pack("Q", len(rest)) + rest
    moved = whole.replace(old, new, 1)
    # The pages have moved: say where.
    at = moved.index(b"flyrecord\0") + 10
    return moved[:at] + kernel.pack("Q", len(moved) - PAGE) + moved[at + 8 :]


def outcome(path: Path) -> str:
    """``trace`` or ``error``; everything else that reading does raises."""
    return "error" if trace_of(path) is None else "trace"


def trace_of(path: Path) -> Trace | None:
    """The trace, looked at from all sides; None where the file is refused."""
    try:
        trace = read(path)
    except InputError as error:
        assert str(path) in error.message
        return None
    trace.check()
    for i in range(min(len(trace.marks), 16)):
        assert isinstance(trace.marks.text[i], str)
    for event in trace.marks.names[:8]:
        names = trace.marks.field_names(event)[:32]
        for column in trace.marks.fields(event, *names, "common_pid"):
            if column is not None:
                assert len(column.values) == len(column.known) == len(column) > 0
                # Not all where two events have one name, and one of them has no such field.
                assert np.isin(column.rows, trace.marks.named(event)).all() and (np.diff(column.rows) > 0).all()
                _ = column.values[-1]
    if trace.calls.args is not None:
        for row in range(min(len(trace.calls), 16)):
            trace.calls.args.text(row)
    n_read = sum(1 for _ in records(path))
    assert n_read >= len(trace.calls) // 2
    return trace


def seeds() -> dict[str, bytes]:
    """Inputs by name: small files of every kind, and their parts."""
    found: dict[str, bytes] = {}
    for number, kernel in enumerate(KERNELS):
        cpus = [build.Cpu(kernel, 0), build.Cpu(kernel, 2)]
        for cpu in cpus:
            cpu.entry(1_000, 7, FUNC, 0, args=(1, 2) if kernel.args else (), retaddr=FUNC + 8 if kernel.args else None)
            cpu.event(1_100, 7, 300, kernel.pack("IHH", 9, 12, 3) + b"abc\0")
            cpu.discarded(1_200, 8)
            cpu.exit(1 << 30, 7, FUNC, 0, 1_000, 1 << 30, retval=-19)
            cpu.lose(5)
            cpu.absolute(1 << 31)
            cpu.exit((1 << 31) + 5, 7, FUNC + 0x50, 1, 1_000, 2_000, flags=0x08)
            cpu.lose()
            cpu.event((1 << 31) + 9, 0, 301, bytes(56))
            cpu.pad()
        events = (
            ("sched", "name_and_number", 300, [("unsigned int", "number", 4), ("__data_loc char[]", "name", 4)]),
            ("sched", "bytes", 301, [("char", "text[16]", 16), ("u8", "raw[8]", 8), ("unsigned long", "ip", 8)]),
        )
        symbols = {FUNC: ("T", "f", ""), FUNC + 0x40: ("t", "g", "mod")}
        extra = build.Extra(comms={7: "a task"}, events=events, buffers={"second": [cpus[0]]})
        for version, packing in ((6, "none"), (7, "none"), (7, "zlib"), (7, "zstd")):
            whole = build.trace_dat(kernel, cpus, symbols=symbols, extra=extra, version=version, compression=packing)
            found[f"file-{number}-v{version}-{packing}"] = b"\0" + whole
        kind = number << 2
        found[f"pages-{number}"] = bytes([kind | 1]) + cpus[0].pages()
        found[f"kallsyms-{number}"] = bytes([kind | 2]) + build.kallsyms(symbols, kernel)
        block = build.format_block("funcgraph_exit", 10, kernel.exit_fields())
        found[f"format-{number}"] = bytes([kind | 3]) + block
    return found


def write_seeds(folder: Path) -> None:
    """The corpus that the repository keeps, made anew."""
    for name, data in seeds().items():
        (folder / name).write_bytes(data)
