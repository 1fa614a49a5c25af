"""Small files that stand for large ones: what reading them may take of memory and of time."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from builder.tracedat import GONE, TEXT, Cpu, Extra, Kernel, format_block, format_blocks, trace_dat
from kfgraph.errors import InputError
from kfgraph.kernel.btf import Btf
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat import read
from kfgraph.parse.tracedat.formats import parse_fields
from kfgraph.parse.tracedat.kallsyms import Kallsyms

F = TEXT + 0x100
SYMBOLS = {F: ("T", "f", ""), TEXT + 0x300: ("T", "_etext", "")}
MOST_BYTES = 112 << 20
MOST_SECONDS = 30


def cpu_with_a_call(kernel: Kernel, number: int = 0) -> Cpu:
    cpu = Cpu(kernel, number)
    cpu.entry(1_000, 42, F, 0)
    cpu.exit(2_000, 42, F, 0, 1_000, 2_000)
    return cpu


def file_of(*cpus: Cpu, version: int = 7, compression: str = "zstd", **extra: object) -> bytes:
    kernel = cpus[0].kernel if cpus else Kernel()
    more = Extra(**extra)  # type: ignore[arg-type]
    cpus = cpus or (cpu_with_a_call(kernel),)
    return trace_dat(kernel, cpus, symbols=SYMBOLS, extra=more, version=version, compression=compression)


def within_bounds(path: Path, content: bytes) -> Trace | None:
    """The trace, which holds together, or None where it was refused with the byte; memory and time are bounded."""
    file = path / "trace.dat"
    file.write_bytes(content)
    del content
    begin = time.process_time()
    tracemalloc.start()
    try:
        trace = read(file)
        trace.check()
        for i in range(min(len(trace.marks), 4)):
            assert isinstance(trace.marks.text[i], str)
        return trace
    except InputError as error:
        assert "(at byte " in error.message
        return None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_BYTES, f"{peak >> 20} MiB"
        assert time.process_time() - begin < MOST_SECONDS


def sized(text: bytes, layout: str = "I") -> bytes:
    return Kernel().pack(layout, len(text)) + text


def chained_options() -> bytes:
    """Twenty sections of options, each of one option of 8 MiB that means something."""
    data = bytearray(file_of())
    at = data.index(b"zstd\x001.0\0") + 9
    (last,) = struct.unpack_from("<Q", data, at)
    option = struct.pack("<HI", 2, 8_000_000) + bytes(8_000_000)
    compress = zstandard.ZstdCompressor().compress
    for _ in range(20):
        struct.pack_into("<Q", data, at, len(data))
        body = option + struct.pack("<HIQ", 0, 8, last)
        block = compress(body)
        last = len(data)
        data += struct.pack("<HHIQII", 0, 1, 0, len(block) + 8, len(block), len(body)) + block
    return bytes(data)


def many_options() -> bytes:
    return file_of(options=[(2, b"")] * 100_000, compression="none")


def large_chunks() -> bytes:
    """Four chunks of 16 MiB on each of eight CPUs, which are nothing but zeros."""
    kernel = Kernel(page_size=1 << 20)
    cpus = [cpu_with_a_call(kernel, number) for number in range(8)]
    for cpu in cpus:
        cpu.pages()
        cpu._pages += [bytes(1 << 20)] * 39
    return trace_dat(kernel, cpus, symbols=SYMBOLS, compression="zstd")


def one_chain(n_cpus: int, n_chunks: int, frame: bytes, size: int, *, page_size: int = 4096) -> bytes:
    """A list of CPUs that all begin where one long chain of the same chunk does."""
    whole = bytearray(file_of(compression="zstd"))
    chain = struct.pack("<I", n_chunks) + (struct.pack("<II", len(frame), size) + frame) * n_chunks
    at = whole.index(b"local\0" + struct.pack("<II", 4096, 1)) + 10
    entries = b"".join(struct.pack("<IQQ", cpu, len(whole), len(chain)) for cpu in range(n_cpus))
    # The option is the last before the end of the list: its size, then its number of CPUs.
    begin = at - 10 - 1 - 8
    option = whole[begin : at - 4] + struct.pack("<II", page_size, n_cpus) + entries
    head = struct.pack("<HI", 3, len(option))
    body = head + option + struct.pack("<HIQ", 0, 8, 0)
    out = whole + chain
    pointer = out.index(b"zstd\x001.0\0") + 9
    (old,) = struct.unpack_from("<Q", out, pointer)
    # The options that were there, without their last two, and then this one.
    old_body = out[old + 16 : begin - 6]
    struct.pack_into("<Q", out, pointer, len(out))
    return bytes(out + struct.pack("<HHIQ", 0, 0, 0, len(old_body) + len(body)) + old_body + body)


def many_buffers_of_one_list() -> bytes:
    """Version 6: a thousand buffers, whose list of 8,192 CPUs is the same."""
    data = file_of(version=6)
    at = data.index(b"options  \0")
    head = data[: at - 4] + struct.pack("<I", 1 << 13) + b"options  \0"
    option = struct.pack("<HIQ", 3, 10, len(head) + 16_000 + 2) + b"b\0"
    return head + 1_000 * option + struct.pack("<H", 0) + b"flyrecord\0" + bytes(16 << 13)


def blocks(text: bytes) -> bytes:
    """The formats, and one more of this text."""
    return format_blocks(Kernel(), b"name: x\nID: 77\n" + text)


CASES: dict[str, Callable[[], bytes]] = {
    "options in many sections": chained_options,
    "many options": many_options,
    "one large option": lambda: file_of(options=[(2, bytes(60 << 20))]),
    "unused options": lambda: file_of(options=[(77, bytes(9))] * 100_000),
    "kallsyms of empty lines": lambda: file_of(instead={19: sized(b"0 t a\n" + b"\n" * (31 << 20))}),
    "kallsyms of short lines": lambda: file_of(instead={19: sized(b"0 t a\n" * 5_000_000)}),
    "kallsyms of one address": lambda: file_of(instead={19: sized(b"ffffffff81000100 d f\n" * 400_000)}),
    "kallsyms of one line": lambda: file_of(instead={19: sized(b"ffffffff81000100 t f" + b"f" * (31 << 20))}),
    "kallsyms beyond reason": lambda: file_of(instead={19: sized(b"ffffffff81000100 t f\n" * 3_000_000)}),
    "comms of one task": lambda: file_of(instead={21: sized(b"1 a\n" * 300_000, "Q")}),
    "comms of many tasks": lambda: file_of(instead={21: sized(b"".join(b"%d a\n" % i for i in range(200_000)), "Q")}),
    "comms beyond reason": lambda: file_of(instead={21: sized(b"1 a\n" * 16_000_000, "Q")}),
    "a format of many fields": lambda: file_of(instead={17: blocks(b"field:a b;offset:0;size:4;\n" * 30_000)}),
    "a format of one word": lambda: file_of(instead={17: blocks(b"field:" * 100_000)}),
    "formats beyond reason": lambda: file_of(instead={17: blocks(b"field:a b;offset:0;size:4;\n" * 2_000_000)}),
    "many empty formats": lambda: file_of(
        version=6, compression="none", instead={17: Kernel().pack("I", 1 << 31) + bytes(8 << 20)}
    ),
    "many empty systems": lambda: file_of(
        version=6, compression="none", instead={18: Kernel().pack("I", 1 << 31) + bytes(8 << 20)}
    ),
    "time samples": lambda: file_of(options=[(12, struct.pack("<QIII", 1, 1, 1, 80_000) + bytes(1_920_000))]),
    "time samples of many CPUs": lambda: file_of(options=[(12, struct.pack("<QII", 1, 1, 1 << 31) + bytes(8_000_000))]),
    "large chunks": large_chunks,
    "one chain of chunks for all CPUs": lambda: one_chain(4_096, 20_000, b"x", 16),
    "zeros in large chunks": lambda: one_chain(
        1, 20_000, zstandard.ZstdCompressor().compress(bytes(16 << 20)), 16 << 20, page_size=1 << 20
    ),
    "buffers of one list": many_buffers_of_one_list,
}


@pytest.mark.parametrize("case", CASES)
def test_a_small_file_takes_little(case: str, tmp_path: Path) -> None:
    within_bounds(tmp_path, CASES[case]())


def test_options_that_mean_nothing_are_not_kept(tmp_path: Path) -> None:
    trace = within_bounds(tmp_path, file_of(options=[(77, b"what a later trace-cmd writes")] * 100))
    assert trace is not None
    assert (len(trace.calls), trace.notices) == (1, ())


def test_what_is_too_large_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    trace = within_bounds(tmp_path, CASES["kallsyms beyond reason"]())
    assert trace is not None
    assert [(notice.code, notice.n) for notice in trace.notices] == [("damaged-section", 1), ("no-kallsyms", 1)]
    assert trace.calls.duration_ns.tolist() == [1_000]


def test_functions_of_no_module_among_many_modules(tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    for i in range(20_000):
        cpu.entry(1_000 + 10 * i, 42, GONE + 64 * i, 0)
        cpu.exit(1_005 + 10 * i, 42, GONE + 64 * i, 0, 0, 5)
    modules = b"".join(b"m 64 0 - Live 0x%x\n" % (GONE + 128 * i) for i in range(20_000))
    trace = within_bounds(tmp_path, file_of(cpu, sections={25: modules}))
    assert trace is not None
    assert [trace.symbols.modules[code] for code in (1, 2, 3)] == ["m", "", "m"]


def test_functions_of_one_long_line_or_of_many_aliases() -> None:
    addresses = np.arange(0xFFFFFFFF81000100, 0xFFFFFFFF81000100 + 3_000, dtype=np.uint64)
    begin = time.process_time()
    for text in (b"ffffffff81000100 t f" + b"f" * (8 << 20), b"ffffffff81000100 d f\n" * 100_000):
        Kallsyms(text).resolve(addresses)
    assert time.process_time() - begin < MOST_SECONDS


def test_fields_of_a_line_without_an_end() -> None:
    begin = time.process_time()
    for line in ("field:", "field:a;offset:", "field:a b;\toffset:0;\tsize:", "ID:", "name:"):
        assert not list(parse_fields(line * 100_000))
    assert time.process_time() - begin < MOST_SECONDS


def test_a_mark_of_many_long_fields_is_cut(tmp_path: Path) -> None:
    kernel = Kernel(page_size=1 << 16)
    cpu = Cpu(kernel, 0)
    cpu.event(1_000, 42, 300, b"x" * 60_000)
    fields = format_block("long", 300, [("u8", "a[60000]", 0)] * 900).replace(b"size:0;", b"size:60000;")
    fields = b"\n".join(line.replace(b" a[", b" a%d[" % i) for i, line in enumerate(fields.split(b"\n")))
    section = kernel.pack("I", 1) + b"sys\0" + kernel.pack("IQ", 1, len(fields)) + fields
    trace = within_bounds(tmp_path, file_of(cpu, instead={18: section}))
    assert trace is not None
    assert len(trace.marks.text[0]) == (1 << 16) + 3


def test_names_without_an_end_in_btf() -> None:
    functions = b"".join(struct.pack("<III", i + 1, 12 << 24, 0) for i in range(50_000))
    strings = b"\0" + b"f" * (8 << 20)
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(functions), len(functions), len(strings))
    begin = time.process_time()
    assert Btf(head + functions + strings).prototype("f") is None
    assert time.process_time() - begin < MOST_SECONDS
