"""What stands in pages beside records: clocks of more than 59 bits, losses of pages without a record, padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builder.tracedat import Cpu, Extra, Kernel
from kfgraph.parse.records import ENTRY, EXIT, LOSS
from kfgraph.parse.tracedat import read, records
from tracedat.test_reader import F, G, codes, names, two_calls, write
from tracedat.twin import plain_loops

KERNELS = (Kernel(), Kernel(big_endian=True), Kernel(long_size=4), Kernel(long_size=4, big_endian=True))
OLD = 24
"""LAST_BOOT, an option of the file."""


@pytest.mark.parametrize("top", [0, 1, 5, 15])
@pytest.mark.parametrize("kernel", KERNELS)
def test_an_absolute_timestamp_says_59_bits_and_the_page_the_others(kernel: Kernel, top: int, tmp_path: Path) -> None:
    mask = (1 << 8 * kernel.long_size) - 1
    base = (top << 59) + 12_345_678_901
    cpu = Cpu(kernel, 0)
    cpu.entry(base, 42, F & mask, 0)
    cpu.absolute(base + (1 << 40))
    cpu.entry(base + (1 << 40) + 7, 42, G & mask, 1)
    cpu.exit(base + (1 << 40) + 9, 42, G & mask, 1, base + (1 << 40) + 7, base + (1 << 40) + 9)
    # Behind it a time extend: of up to 59 bits more.
    cpu.exit(base + (1 << 41), 42, F & mask, 0, base, base + (1 << 41))
    path = write(tmp_path, kernel, cpu)
    assert [r.time - base for r in records(path)] == [0, (1 << 40) + 7, (1 << 40) + 9, 1 << 41]
    trace = read(path)
    trace.check()
    assert trace.calls.start_ns.tolist() == [base, base + (1 << 40) + 7]
    assert trace.calls.duration_ns.tolist() == [1 << 41, 2]
    assert (trace.meta.first_ns, trace.meta.last_ns) == (base, base + (1 << 41))
    assert not trace.notices


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ((5, 7), 12),
        ((5, 7, 1_000), 1_012),
        ((5, -1), -1),  # once it is not known how many, it stays unknown
        ((-1, 7), -1),
        ((5, -1, 7), -1),
        ((-1,), -1),
        ((9,), 9),
    ],
)
def test_losses_of_pages_without_a_record_are_one_loss(
    kernel: Kernel, lost: tuple[int, ...], said: int, tmp_path: Path
) -> None:
    mask = (1 << 8 * kernel.long_size) - 1

    def pages(cpu: Cpu) -> None:
        for at, count in enumerate(lost):
            cpu.lose(count)
            cpu.absolute(2_000 + at)

    between, last = Cpu(kernel, 2), Cpu(kernel, 2)
    for cpu in (between, last):
        cpu.entry(1_000, 42, F & mask, 0)
        pages(cpu)
    between.exit(5_000, 42, F & mask, 0, 1_000, 5_000)
    path = write(tmp_path, kernel, between)
    assert [(r.kind, r.n_lost) for r in records(path)] == [(ENTRY, 0), (LOSS, said), (EXIT, 0)]
    trace = read(path)
    trace.check()
    assert (trace.losses.n_lost.tolist(), trace.losses.cpu.tolist()) == ([said], [2])
    # At the end of a CPU's data no record follows it.
    trace = read(write(tmp_path, kernel, last))
    trace.check()
    assert (trace.losses.n_lost.tolist(), trace.losses.cpu.tolist()) == ([said], [2])


@pytest.mark.parametrize("owner", ["", "probes"])
def test_the_earlier_boot_of_one_buffer_is_not_the_others(owner: str, tmp_path: Path) -> None:
    other = Cpu(Kernel(), 0)
    other.entry(5_000, 9, G, 0)
    info = owner.encode() + b":ffffffff9a000000\t[kernel]\n\0"
    extra = Extra(options=[(OLD, info)], buffers={"probes": [other]})
    path = write(tmp_path, Kernel(), two_calls(Kernel()), extra=extra)
    for buffer, known, address in (("", "f", F), ("probes", "g", G)):
        trace = read(path, buffer=buffer or None)
        assert names(trace)[0] == (f"0x{address:x}" if buffer == owner else known)
        assert ("earlier-boot" in codes(trace)) == (buffer == owner)


@pytest.mark.parametrize("big", [False, True])
def test_numbers_of_any_size_at_any_byte(big: bool) -> None:
    _, streams = plain_loops()
    data = bytes((37 * i + 11) & 0xFF for i in range(64))
    stream = streams.Stream(0, big_endian=big, page_size=4096, header=16)
    stream.words = np.frombuffer(data, ">u4" if big else "<u4").astype(np.uint32).tolist()
    for size in range(1, 9):
        for at in range(40):
            assert stream.load(at, size) == int.from_bytes(data[at : at + size], "big" if big else "little"), (at, size)


ELEMENTS = (
    # type, name, bytes of an element, elements, bytes of the field
    ("unsigned short", "v[3]", 2, 3, 6), ("mine_t", "v[3]", 8, 3, 24), ("mine_t", "v[6]", 2, 6, 12),
    ("mine_t", "v[4]", 4, 4, 16), ("unsigned long", "v[2]", 8, 2, 16), ("long long", "v[1]", 8, 1, 8),
    # By its length it would be no whole number of bytes: by its type.
    ("unsigned short", "v[4]", 2, 5, 10), ("u64", "v[5]", 8, 2, 16),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "width", "n", "size"), ELEMENTS)
@pytest.mark.parametrize("kernel", [Kernel(), Kernel(big_endian=True)])
def test_elements_of_an_array_are_as_wide_as_its_length_says(
    kernel: Kernel, kind: str, name: str, width: int, n: int, size: int, tmp_path: Path
) -> None:
    values = [0x11 + 3 * i for i in range(n)]
    order = "big" if kernel.big_endian else "little"
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    cpu.event(1_100, 42, 303, b"".join(value.to_bytes(width, order) for value in values))
    cpu.exit(1_500, 42, F, 0, 1_000, 1_500)
    events = (("x", "array", 303, [(kind, name, size)]),)
    trace = read(write(tmp_path, kernel, cpu, extra=Extra(events=events), compression="none"))
    assert list(trace.marks.text) == [f"v={{{','.join(hex(value) for value in values)}}}"]


@pytest.mark.parametrize(("n_bytes", "said"), [(0, "{}"), (3, "{}"), (4, "{0x1}"), (7, "{0x1}"), (9, "{0x1,0x2}")])
def test_a_dynamic_array_that_breaks_off_has_its_whole_elements(n_bytes: int, said: str, tmp_path: Path) -> None:
    kernel = Kernel()
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    data = b"".join(value.to_bytes(4, "little") for value in (1, 2, 3))
    cpu.event(1_100, 42, 303, kernel.pack("I", n_bytes << 16 | 12) + data)
    cpu.exit(1_500, 42, F, 0, 1_000, 1_500)
    events = (("x", "array", 303, [("__data_loc int[]", "v", 4)]),)
    trace = read(write(tmp_path, kernel, cpu, extra=Extra(events=events), compression="none"))
    assert list(trace.marks.text) == [f"v={said}"]
