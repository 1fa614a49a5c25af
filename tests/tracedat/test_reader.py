"""trace.dat as the literal builder writes it: every layout, container and oddity, against known numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from builder.tables import call, trace_of, traces
from builder.tracedat import GONE, MODULE, TEXT, Cpu, Extra, Kernel, dat_of, trace_dat
from kfgraph.errors import InputError, NoMatchError
from kfgraph.model.calls import Flag
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.parse.records import ENTRY, EXIT, LOSS, MARK
from kfgraph.parse.tracedat import pages, read, reader, records
from kfgraph.parse.tracedat.raw import Record
from tracedat.twin import plain_loops

F, G = TEXT + 0x100, TEXT + 0x200
SYMBOLS = {F: ("T", "f", ""), G: ("t", "g", ""), TEXT + 0x300: ("T", "_etext", ""), TEXT + 0x400: ("D", "data", "")}
KERNELS = {
    "5.10": Kernel(old_exit=True),
    "5.11": Kernel(),
    "6.5 retval": Kernel(retval=True),
    "6.15 args": Kernel(args=True),
    "6.19": Kernel(depth_size=8, args=True, retval=True),
    "32 bit": Kernel(long_size=4),
    "32 bit big endian": Kernel(long_size=4, big_endian=True),
    "s390x": Kernel(big_endian=True),
    "s390x 6.19": Kernel(big_endian=True, depth_size=8, args=True),
    "64 KiB pages": Kernel(page_size=65536),
}
CONTAINERS = [(6, "none"), (7, "none"), (7, "zlib"), (7, "zstd")]


def two_calls(kernel: Kernel, *, args: tuple[int, ...] = (), retaddr: int | None = None) -> Cpu:
    """f(100 us) calls g(30 us)."""
    cpu = Cpu(kernel, 0)
    mask = (1 << 8 * kernel.long_size) - 1
    cpu.entry(1_000_000, 42, F & mask, 0, args=args, retaddr=retaddr)
    cpu.entry(1_010_000, 42, G & mask, 1, retaddr=retaddr)
    cpu.exit(1_040_000, 42, G & mask, 1, 1_010_000, 1_040_000, retval=-19)
    cpu.exit(1_100_000, 42, F & mask, 0, 1_000_000, 1_100_000, overrun=3)
    return cpu


def write(path: Path, kernel: Kernel, *cpus: Cpu, **options: object) -> Path:
    mask = (1 << 8 * kernel.long_size) - 1
    symbols = {address & mask: symbol for address, symbol in SYMBOLS.items()}
    file = path / "trace.dat"
    file.write_bytes(trace_dat(kernel, cpus, **{"symbols": symbols, **options}))  # type: ignore[arg-type]
    return file


def names(trace: Trace) -> list[str]:
    return [trace.symbols.label(code) for code in trace.calls.func]


def codes(trace: Trace) -> list[str]:
    return [notice.code for notice in trace.notices]


@pytest.mark.parametrize(("version", "compression"), CONTAINERS)
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS.keys())
def test_every_layout_in_every_container(kernel: Kernel, version: int, compression: str, tmp_path: Path) -> None:
    cpu = two_calls(kernel)
    path = write(
        tmp_path, kernel, cpu, version=version, compression=compression, extra=Extra(comms={42: "a (b) c"})
    )
    trace = read(path)
    trace.check()
    calls = trace.calls
    assert names(trace) == ["f", "g"]
    assert calls.start_ns.tolist() == [1_000_000, 1_010_000]
    assert calls.duration_ns.tolist() == [100_000, 30_000]
    assert calls.self_ns.tolist() == [70_000, 30_000]
    assert calls.depth.tolist() == [0, 1]
    assert calls.cpu.tolist() == calls.exit_cpu.tolist() == [0, 0]
    assert trace.tasks.tasks == (Task(42, "a (b) c"),)
    assert not trace.notices
    if kernel.retval:
        assert calls.retval is not None
        assert calls.retval.tolist() == [0, -19]
    else:
        assert calls.retval is None
    assert [r.overrun for r in records(path) if r.kind == EXIT] == [0, 3]
    assert trace.meta.kernel == "6.99.0-test"
    assert trace.meta.recorder == "trace-cmd 3.4.0"
    assert (trace.meta.clock, trace.meta.clock_unit, trace.meta.n_records) == ("local", "ns", 4)
    assert trace.meta.details["file_version"] == version
    assert trace.meta.details["compression"] == compression


@pytest.mark.parametrize("kernel", [Kernel(args=True), Kernel(args=True, depth_size=8), Kernel(args=True, long_size=4)])
def test_arguments_and_return_addresses(kernel: Kernel, tmp_path: Path) -> None:
    inside_f = F + 0x44 & (1 << 8 * kernel.long_size) - 1
    trace = read(write(tmp_path, kernel, two_calls(kernel, args=(1, 0xFFFF, 7), retaddr=inside_f)))
    assert trace.calls.args is not None
    assert trace.calls.args.text(0) == "0x1, 0xffff, 0x7"
    assert trace.calls.args.text(1) is None
    assert trace.calls.caller is not None
    # The caller is the function that the return address lies in: f itself, by its one code.
    assert trace.calls.caller.tolist() == [trace.calls.func[0]] * 2


@pytest.mark.parametrize("kernel", [Kernel(), Kernel(retval=True), Kernel(big_endian=True), Kernel(long_size=4)])
def test_return_addresses_without_arguments(kernel: Kernel, tmp_path: Path) -> None:
    """6.13 to 6.18: the return address stands right behind the depth, at no multiple of its size."""
    inside_f = F + 0x44 & (1 << 8 * kernel.long_size) - 1
    path = write(tmp_path, kernel, two_calls(kernel, retaddr=inside_f), compression="none")
    n = kernel.long_size
    assert f"retaddr;\toffset:{8 + n + 4};\tsize:{n};".encode() in path.read_bytes()
    assert {r.caller for r in records(path) if r.kind == ENTRY} == {inside_f}
    trace = read(path)
    trace.check()
    assert (names(trace), trace.calls.args) == (["f", "g"], None)
    assert trace.calls.caller is not None
    assert trace.calls.caller.tolist() == [trace.calls.func[0]] * 2


@pytest.mark.parametrize("kernel", [Kernel(), Kernel(big_endian=True), Kernel(long_size=4)])
def test_losses_with_and_without_a_count(kernel: Kernel, tmp_path: Path) -> None:
    mask = (1 << 8 * kernel.long_size) - 1
    cpu = Cpu(kernel, 3)
    cpu.entry(1_000, 42, F & mask, 0)
    cpu.lose(1159)
    cpu.entry(2_000, 42, G & mask, 1)
    cpu.exit(2_500, 42, G & mask, 1, 2_000, 2_500)
    cpu.lose()
    cpu.exit(3_000, 42, F & mask, 0, 1_000, 3_000)
    path = write(tmp_path, kernel, cpu)
    assert [(r.kind, r.n_lost) for r in records(path)] == [
        (ENTRY, 0), (LOSS, 1159), (ENTRY, 0), (EXIT, 0), (LOSS, -1), (EXIT, 0)
    ]
    trace = read(path)
    trace.check()
    assert trace.losses.n_lost.tolist() == [1159, -1]
    assert trace.losses.cpu.tolist() == [3, 3]
    assert trace.calls.duration_ns.tolist() == [2_000, 500]
    assert trace.calls.has(Flag.CUT_BY_LOSS).tolist() == [True, False]


def test_records_that_are_no_events(tmp_path: Path) -> None:
    kernel = Kernel()
    cpu = Cpu(kernel, 0)
    cpu.absolute(1 << 40)
    cpu.entry((1 << 40) + 5, 42, F, 0)
    cpu.discarded((1 << 40) + 6, 24)
    cpu.event((1 << 40) + 7, 42, 10, bytes(0), long_form=True)
    cpu.exit((1 << 40) + (1 << 30), 42, F, 0, 1 << 40, (1 << 40) + (1 << 30))
    cpu.pad()
    times = [(r.kind, r.time - (1 << 40)) for r in records(write(tmp_path, kernel, cpu))]
    assert times == [(ENTRY, 5), (EXIT, 7), (EXIT, 1 << 30)]


def test_cpus_are_merged_by_time_and_the_lower_goes_first(tmp_path: Path) -> None:
    kernel = Kernel()
    cpus = [Cpu(kernel, number) for number in (0, 1, 7)]
    for i in range(300):
        for cpu in reversed(cpus):
            cpu.entry(1_000 + 10 * i, 100 + cpu.number, F, 0)
            cpu.exit(1_002 + 10 * i + cpu.number, 100 + cpu.number, F, 0, 0, 5)
    stream = [(r.time, r.cpu) for r in records(write(tmp_path, kernel, *cpus))]
    assert len(stream) == 1_800
    assert stream == sorted(stream)


def test_context_from_the_flags(tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    for at, flags in enumerate((0, 0x10, 0x08, 0x18, 0x40, 0x48, 0x01)):
        cpu.entry(1_000 + 10 * at, 42, F, 0, flags=flags)
        cpu.exit(1_005 + 10 * at, 42, F, 0, 1_000 + 10 * at, 1_005 + 10 * at, flags=flags)
    assert read(write(tmp_path, Kernel(), cpu)).calls.context.tolist() == [0, 1, 2, 2, 3, 3, 0]


def test_names_are_text_and_inside_their_run_of_text(tmp_path: Path) -> None:
    kernel = Kernel()
    symbols = {
        TEXT: ("T", "_stext", ""),
        F: ("W", "weak", ""),
        G: ("t", "g", ""),
        TEXT + 0x9000: ("D", "_sdata", ""),
        MODULE: ("t", "mod_fn", "mod"),
        MODULE + 0x40: ("d", "__this_module", "mod"),
        MODULE + 0x100000: ("t", "other_fn", "other"),
    }
    wanted = {
        F: "weak",
        F + 8: "weak",
        G + 4: "g",
        TEXT + 0x9008: "0xffffffff81009008",  # data
        TEXT + 0x5000: "0xffffffff81005000",  # the last text before data, another page: its end is not known
        MODULE + 4: "mod_fn [mod]",
        MODULE + 0x48: "0xffffffffc0a00048",  # trace-cmd: __this_module
        GONE: "0xffffffffc0b08000",  # trace-cmd: other_fn
        MODULE + 0x100010: "other_fn [other]",
        0x1000: "0x1000",
    }
    cpu = Cpu(kernel, 0)
    for at, address in enumerate(wanted):
        cpu.entry(1_000 + 10 * at, 42, address, 0)
        cpu.exit(1_005 + 10 * at, 42, address, 0, 0, 5)
    trace = read(write(tmp_path, kernel, cpu, symbols=symbols))
    assert names(trace) == list(wanted.values())
    unresolved = [name.startswith("0x") for name in wanted.values()]
    assert trace.calls.has(Flag.NAME_UNRESOLVED).tolist() == unresolved
    assert trace.symbols.resolved.tolist() == [False, *(not hidden for hidden in unresolved)]
    assert trace.symbols.addresses.tolist() == [0, *wanted]


def test_a_module_that_is_known_to_have_been_there(tmp_path: Path) -> None:
    cpu = Cpu(Kernel(), 0)
    cpu.entry(1_000, 42, GONE + 0x14, 0)
    modules = f"widget 16384 0 - Live 0x{GONE:x} (OE)\nother 4096 0 - Live 0x0\n".encode()
    trace = read(write(tmp_path, Kernel(), cpu, extra=Extra(sections={25: modules})))
    assert names(trace) == [f"0x{GONE + 0x14:x} [widget]"]
    assert not trace.symbols.resolved[1]


def test_records_of_an_earlier_boot_get_no_names_of_this_one(tmp_path: Path) -> None:
    for info, expected in ((b":ffffffff9a000000\t[kernel]\n\0", f"0x{F:x}"), (b":# Current\n\0", "f")):
        trace = read(write(tmp_path, Kernel(), two_calls(Kernel()), extra=Extra(options=[(24, info)])))
        assert names(trace)[0] == expected
        assert ("earlier-boot" in codes(trace)) == (expected != "f")
        assert "no-kallsyms" not in codes(trace)


def test_hidden_symbols_are_said(tmp_path: Path) -> None:
    trace = read(write(tmp_path, Kernel(), two_calls(Kernel()), symbols={0: ("T", "f", "")}))
    assert names(trace) == [f"0x{F:x}", f"0x{G:x}"]
    assert "no-kallsyms" in codes(trace)


@pytest.mark.parametrize("big_endian", [False, True])
def test_other_events_are_marks_with_their_fields(big_endian: bool, tmp_path: Path) -> None:
    kernel = Kernel(big_endian=big_endian)
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    name = b"widget\0"
    # __data_loc: size << 16 | offset from the record's begin (8 bytes of common fields, 12 of fields before it).
    cpu.event(1_100, 42, 300, kernel.pack("iQI", -5, 0xFFFF888000001234, len(name) << 16 | 24) + name)
    cpu.event(1_200, 42, 301, b"comm[0]\0" + bytes(8) + kernel.pack("iBBH", 7, 1, 2, 3))
    cpu.event(1_250, 42, 302, kernel.pack("iIQQ", 257, 0, 0xFFFFFF9C, 0x7FFC0000))
    cpu.event(1_300, 42, 999, b"abcd")
    cpu.exit(1_500, 42, F, 0, 1_000, 1_500)
    events = (
        ("module", "module_load", 300,
         [("int", "error", 4), ("void *", "ptr", 8), ("__data_loc char[]", "name", 4)]),
        ("sched", "sched_switch", 301,
         [("char", "comm[16]", 16), ("pid_t", "pid", 4), ("u8", "raw[2]", 2), ("unsigned short", "n", 2)]),
        ("syscalls", "sys_enter_openat", 302,
         [("int", "nr", 4), ("int", "", 4), ("unsigned int dfd_is", "int", 8), ("const char *", "filename", 8)]),
    )
    for version, compression in CONTAINERS:
        file = write(tmp_path, kernel, cpu, extra=Extra(events=events), version=version, compression=compression)
        trace = read(file)
        trace.check()
        marks = trace.marks
        assert [marks.names[code] for code in marks.name] == [
            "module_load", "sched_switch", "sys_enter_openat", "type-999"
        ]
        assert marks.text[0] == "error=-5 ptr=0xffff888000001234 name=widget"
        assert marks.text[1] == "comm=comm[0] pid=7 raw=0102 n=3"
        assert marks.text[2].endswith("filename=0x7ffc0000")
        assert marks.text[3] == "type=999"
        assert marks.parent.tolist() == [0] * 4
        assert marks.time_ns.tolist() == [1_100, 1_200, 1_250, 1_300]
        assert "unknown-event" in codes(trace)
        assert [r.type for r in records(file) if r.kind == MARK] == [300, 301, 302, 999]


def test_every_event_of_an_unknown_type_counts(tmp_path: Path) -> None:
    kernel = Kernel()
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    for time, number in ((1_100, 998), (1_150, 300), (1_200, 999), (1_300, 998)):
        cpu.event(time, 42, number, bytes(8))
    cpu.exit(1_500, 42, F, 0, 1_000, 1_500)
    events = (("x", "known", 300, [("int", "n", 4)]),)
    trace = read(write(tmp_path, kernel, cpu, extra=Extra(events=events), version=7, compression="none"))
    assert [trace.marks.names[code] for code in trace.marks.name] == ["type-998", "known", "type-999", "type-998"]
    (told,) = [one for one in trace.notices if one.code == "unknown-event"]
    assert (told.n, told.text) == (3, "events of types that the file does not describe, the first: type 998")


def test_the_text_of_a_string_whose_place_counts_from_its_own_field(tmp_path: Path) -> None:
    kernel = Kernel()
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0)
    # __rel_loc: the place counts from behind the field, which stands 12 bytes into the record.
    cpu.event(1_100, 42, 303, kernel.pack("iII", 7, 5 << 16 | 4, 0) + b"name\0")
    cpu.exit(1_500, 42, F, 0, 1_000, 1_500)
    events = (("x", "rel", 303, [("int", "n", 4), ("__rel_loc char[]", "s", 4)]),)
    trace = read(write(tmp_path, kernel, cpu, extra=Extra(events=events), version=7, compression="none"))
    assert list(trace.marks.text) == ["n=7 s=name"]


def test_one_of_several_buffers(tmp_path: Path) -> None:
    kernel = Kernel()
    other = Cpu(kernel, 0)
    other.entry(5_000, 9, G, 0)
    for version, compression in CONTAINERS:
        path = write(
            tmp_path, kernel, two_calls(kernel), extra=Extra(buffers={"probes": [other]}), version=version,
            compression=compression,
        )
        trace = read(path)
        assert names(trace) == ["f", "g"]
        assert trace.meta.buffers == ("", "probes")
        assert codes(trace) == ["other-buffers"]
        assert names(read(path, buffer="probes")) == ["g"]
        with pytest.raises(NoMatchError, match="no buffer 'nope'") as caught:
            read(path, buffer="nope")
        assert "'probes'" in caught.value.hint
    for n, shown in ((10, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"), (11, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...")):
        more = Extra(buffers={str(i): [other] for i in range(1, n + 1)})
        assert read(write(tmp_path, kernel, two_calls(kernel), extra=more)).notices[0].text.endswith(f": {shown}")


def test_clocks(tmp_path: Path) -> None:
    kernel = Kernel()
    tsc = (14, kernel.pack("IIQ", 3, 1, 0))
    cases: list[tuple[str, list[tuple[int, bytes]], str, int]] = [
        ("local", [], "ns", 1_000_000),
        ("mono", [], "ns", 1_000_000),
        ("x86-tsc", [], "cycles", -1),
        ("x86-tsc", [tsc], "ns", 1_500_000),
        ("counter", [], "events", -1),
        ("local", [(7, b"-1000\0")], "ns", 999_000),
        ("local", [(1, b"0x10\0")], "ns", 1_016_000),
    ]
    for clock, options, unit, start in cases:
        path = write(tmp_path, kernel, two_calls(kernel), extra=Extra(clock=clock, options=options))
        trace = read(path)
        trace.check()
        assert (trace.meta.clock, trace.meta.clock_unit) == (clock, unit)
        assert trace.calls.start_ns[0] == start
        assert trace.calls.duration_ns.tolist() == [100_000, 30_000]
        assert trace.calls.has(Flag.START_UNKNOWN).all() == (start < 0)


def test_a_guest_is_moved_to_its_hosts_time(tmp_path: Path) -> None:
    kernel = Kernel()
    samples = kernel.pack("QII", 1, 1, 1) + kernel.pack("I", 2)
    samples += kernel.pack("QQ", 1_000_000, 1_100_000)
    samples += kernel.pack("QQ", (1 << 64) - 500, 500)
    samples += kernel.pack("QQ", 1, 1)
    trace = read(write(tmp_path, kernel, two_calls(kernel), extra=Extra(options=[(12, samples)])))
    # -500 at the first sample, +500 at the second, in between by the line: -400 at a tenth of the way.
    assert trace.calls.start_ns.tolist() == [999_500, 1_009_600]


def test_overruns_are_added_up(tmp_path: Path) -> None:
    text = "CPU: {}\nentries: 5\noverrun: {}\ncommit overrun: 0\n\0"
    stats = [(2, text.format(cpu, n).encode()) for cpu, n in ((0, 7), (1, 35))]
    trace = read(write(tmp_path, Kernel(), two_calls(Kernel()), extra=Extra(options=stats)))
    assert trace.meta.n_overrun == 42
    assert read(write(tmp_path, Kernel(), two_calls(Kernel()))).meta.n_overrun == -1


def long_trace(kernel: Kernel, n: int = 2_000) -> list[Cpu]:
    cpus = [Cpu(kernel, 0), Cpu(kernel, 1)]
    for i in range(n):
        for cpu in cpus:
            cpu.entry(1_000 * i + 1, 10 + cpu.number, F, 0)
            cpu.exit(1_000 * i + 500, 10 + cpu.number, F, 0, 1_000 * i, 1_000 * i + 450)
    return cpus


@pytest.mark.parametrize(("version", "compression"), CONTAINERS)
def test_a_file_that_was_cut(version: int, compression: str, tmp_path: Path) -> None:
    kernel = Kernel()
    whole = write(tmp_path, kernel, *long_trace(kernel), version=version, compression=compression)
    content = whole.read_bytes()
    full = read(whole)
    assert len(full.calls) == 4_000
    n_before = 0
    for share in (0.3, 0.5, 0.7, 0.9, 0.999):
        whole.write_bytes(content[: int(share * len(content))])
        try:
            trace = read(whole)
        except InputError as error:
            assert "(at byte " in error.message
            assert not n_before, "what a shorter file gave is there"
            continue
        trace.check()
        assert "cut-file" in codes(trace)
        assert n_before <= len(trace.calls) <= 4_000
        assert set(trace.calls.duration_ns.tolist()) <= {450, -1}
        n_before = len(trace.calls)
    assert n_before > 3_500


def test_what_a_killed_recorder_leaves(tmp_path: Path) -> None:
    kernel = Kernel()
    cpus = long_trace(kernel, 100)
    for version in (6, 7):
        path = write(tmp_path, kernel, version=version)
        content = bytearray(path.read_bytes())
        if version == 7:
            # The offset of the options is written last.
            at = content.index(b"none\0" + b"1.0\0") + 9
            content[at : at + 8] = bytes(8)
            content = content[: struct.unpack("<Q", path.read_bytes()[at : at + 8])[0]]
        else:
            content = content[: content.index(b"options  \0") - 4]
        path.write_bytes(content)
        for cpu in cpus:
            (tmp_path / f"trace.dat.cpu{cpu.number}").write_bytes(cpu.pages())
        trace = read(path)
        trace.check()
        assert "leftover-files" in codes(trace)
        assert names(trace) == ["f"] * 200
        assert sorted(trace.calls.cpu.tolist()) == [0] * 100 + [1] * 100


def test_damaged_chunks_and_pages_are_gaps(tmp_path: Path) -> None:
    kernel = Kernel()
    path = write(tmp_path, kernel, *long_trace(kernel), version=7, compression="zstd")
    content = bytearray(path.read_bytes())
    frames = [at for at in range(len(content)) if content[at : at + 4] == b"\x28\xb5\x2f\xfd"]
    content[frames[-2]] ^= 0xFF
    path.write_bytes(content)
    trace = read(path)
    trace.check()
    assert "damaged-chunk" in codes(trace)
    assert 3_000 < len(trace.calls) < 4_000
    assert trace.losses.n_lost.tolist() == [-1]
    plain_path = write(tmp_path, kernel, *long_trace(kernel), version=6)
    content = bytearray(plain_path.read_bytes())
    page = len(content) - 3 * kernel.page_size
    content[page + 8 : page + 12] = struct.pack("<I", 0x7FFFFFF)
    plain_path.write_bytes(content)
    trace = read(plain_path)
    trace.check()
    assert "damaged-pages" in codes(trace)
    assert trace.losses.n_lost.tolist() == [-1]


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    for content, what in (
        (b"", "is empty"),
        (b"hello", "is not a trace.dat"),
        (b"\x17\x08\x44tracing9\0", "version '9'"),
        (b"\x17\x08\x44tracing7\0\0\x08\x00\x10\0\0lz4\x001\0", "at byte 18"),
        (b"\x17\x08\x44tracing7\0\x05\x08\x00\x10\0\0", "byte order"),
        (b"\x17\x08\x44tracing6\0\0\x08\x01\x10\0\0", "page size of 4,097"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=what) as caught:
            read(path)
        assert str(path) in caught.value.message
    # A latency trace: the word says so.
    kernel = Kernel()
    content = trace_dat(kernel, [two_calls(kernel)], symbols=SYMBOLS, version=6)
    path.write_bytes(content.replace(b"flyrecord\0", b"latency  \0"))
    with pytest.raises(InputError, match="latency trace"):
        read(path)


def test_a_block_that_claims_too_much_is_not_expanded(tmp_path: Path) -> None:
    kernel = Kernel()
    path = write(tmp_path, kernel, two_calls(kernel), version=7, compression="zstd")
    content = bytearray(path.read_bytes())
    at = [at for at in range(len(content)) if content[at : at + 4] == b"\x28\xb5\x2f\xfd"][-1]
    content[at - 4 : at] = struct.pack("<I", 1 << 31)
    path.write_bytes(content)
    trace = read(path)
    assert "damaged-chunk" in codes(trace)
    assert len(trace.calls) == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expected=traces())
def test_any_tree_comes_back(expected: Trace, tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    path.write_bytes(dat_of(expected, Kernel(page_size=256), version=7, compression="zstd"))
    trace = read(path)
    trace.check()
    assert trace.meta.n_records == sum(1 for _ in records(path))
    assert len(trace.calls) == len(expected.calls)


def test_a_tree_comes_back_column_by_column(tmp_path: Path) -> None:
    expected = trace_of(
        [call("alpha", 1_000, call("beta", 500), call("gamma [mod]", 300, call("0xffffffffc0b08014", 100)))],
        [call("beta", 70, call("alpha", context=2), cpu=0)],
    )
    path = tmp_path / "trace.dat"
    path.write_bytes(dat_of(expected))
    trace = read(path)
    trace.check()
    assert names(trace)[:3] == [expected.symbols.label(code) for code in expected.calls.func][:3]
    for column in ("start_ns", "duration_ns", "self_ns", "level", "depth", "parent", "end", "context", "cpu"):
        assert getattr(trace.calls, column).tolist() == getattr(expected.calls, column).tolist(), column


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Switch the reader over to the uncompiled page loop."""

    def switch() -> None:
        for name, loop in zip(("pages", "streams"), plain_loops(), strict=True):
            monkeypatch.setattr(reader, name, loop)

    return switch


def all_records(path: Path) -> list[Record]:
    return list(records(path))


def test_the_uncompiled_loop_reads_the_same(twin: Callable[[], None], tmp_path: Path) -> None:
    if not pages.COMPILED:
        pytest.skip("the page loop is not compiled here: pip install -e . with a C compiler")
    found = {}
    for name, kernel in KERNELS.items():
        cpus = [two_calls(kernel, args=(1, 2) if kernel.args else ()), Cpu(kernel, 1)]
        cpus[1].lose(5)
        cpus[1].entry(1 << 41, 3, (1 << 8 * kernel.long_size) - 2, 40_000, flags=0xFF)
        cpus[1].exit((1 << 41) + 1, 0x7FFFFFFF, 5, 2, 1 << 63, 5, retval=-1)
        (tmp_path / name).mkdir()
        found[name] = write(tmp_path / name, kernel, *cpus, compression="zstd")
    compiled = {name: all_records(path) for name, path in found.items()}
    twin()
    assert {name: all_records(path) for name, path in found.items()} == compiled
    assert all(len(stream) == 7 for stream in compiled.values())


def test_the_uncompiled_loop_reads_a_real_file_the_same(twin: Callable[[], None], shared_traces: Path) -> None:
    path = shared_traces / "6.12/thresh.dat"
    before = read(path)
    twin()
    after = read(path)
    assert len(after.calls) == len(before.calls) == 1_040
    for (name, ours), (_, theirs) in zip(after.calls.columns(), before.calls.columns(), strict=True):
        assert np.array_equal(ours, theirs), name


def test_the_loops_literals_are_the_contracts() -> None:
    loop, _ = plain_loops()
    assert [loop._ENTRY, loop._EXIT, loop._MARK, loop._LOSS] == [ENTRY, EXIT, MARK, LOSS]
    assert loop._RETADDR == reader._RETADDR
    assert 2 * len(reader._LAYOUT_FIELDS) == loop._LAYOUT_WIDTH


def test_one_region_for_many_cpus_is_one_cpus(tmp_path: Path) -> None:
    kernel = Kernel()
    cpus = [two_calls(kernel), *(Cpu(kernel, number) for number in range(1, 40))]
    path = write(tmp_path, kernel, *cpus, version=6)
    content = bytearray(path.read_bytes())
    table = content.index(b"flyrecord\0") + 10
    for number in range(1, 40):
        content[table + 16 * number : table + 16 * number + 16] = content[table : table + 16]
    path.write_bytes(content)
    trace = read(path)
    trace.check()
    assert next(notice.n for notice in trace.notices if notice.code == "cpu") == 39
    assert {record.cpu for record in records(path)} == {0}


def test_records_have_their_own_arguments(tmp_path: Path) -> None:
    kernel = Kernel(args=True)
    cpu = Cpu(kernel, 0)
    given = [(), (1,), (2, 3, 4, 5, 6, 7), (), (8, 9), (10,)]
    for depth, args in enumerate(given):
        cpu.entry(1_000 + depth, 42, F, depth, args=args)
    found = all_records(write(tmp_path, kernel, cpu))
    assert [record.args for record in found] == given
    assert [(record.kind, record.time, record.depth, record.func) for record in found] == [
        (ENTRY, 1_000 + depth, depth, F) for depth in range(6)
    ]
