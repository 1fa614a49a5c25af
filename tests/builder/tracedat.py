"""Small trace.dat files, written by hand: any page size, byte order, record layout and container.

    kernel = Kernel(retval=True)
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, FUNC, 0)
    cpu.exit(2_000, 42, FUNC, 0, 1_000, 2_000, retval=-19)
    path.write_bytes(trace_dat(kernel, [cpu], symbols={FUNC: ("T", "f", "")}))

Source: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5), ring_buffer.c of Linux.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace

EXIT_ID, ENTRY_ID, RETADDR_ID = 10, 11, 12
M64 = (1 << 64) - 1
PAGES_IN_CHUNK = 10

Symbols = Mapping[int, tuple[str, str, str]]
"""Address -> (type, name, module)."""


@dataclass(frozen=True)
class Kernel:
    """What decides the layout of pages and records."""

    big_endian: bool = False
    long_size: int = 8
    page_size: int = 4096
    depth_size: int = 4
    """Of an entry's depth: 8 since 6.19."""
    retval: bool = False
    args: bool = False
    old_exit: bool = False
    """5.10: overrun takes a long and stands before the times, depth after them."""

    @property
    def order(self) -> str:
        return ">" if self.big_endian else "<"

    def pack(self, layout: str, *values: int) -> bytes:
        """As struct.pack, ``L`` being the kernel's long."""
        return struct.pack(self.order + layout.replace("L", "Q" if self.long_size == 8 else "I"), *values)

    @property
    def header(self) -> int:
        """Bytes before a page's data."""
        return 8 + self.long_size

    def exit_fields(self) -> list[tuple[str, str, int]]:
        """(type, name, size) of funcgraph_exit's own fields."""
        n = self.long_size
        func = [("unsigned long", "func", n)]
        times = [("unsigned long long", "calltime", 8), ("unsigned long long", "rettime", 8)]
        if self.old_exit:
            return [*func, ("unsigned long", "overrun", n), *times, ("int", "depth", 4)]
        value = [("unsigned long", "retval", n)] if self.retval else []
        return [*func, *value, ("unsigned int", "depth", 4), ("unsigned int", "overrun", 4), *times]

    def entry_fields(self, *, retaddr: bool) -> list[tuple[str, str, int]]:
        """The same of funcgraph_entry, or of fgraph_retaddr_entry."""
        depth = ("unsigned long" if self.depth_size == 8 else "int", "depth", self.depth_size)
        fields = [("unsigned long", "func", self.long_size), depth]
        if retaddr:
            fields.append(("unsigned long", "retaddr", self.long_size))
        if self.args:
            # The arguments begin at a multiple of a long, as in the kernel's structure.
            used = 8 + sum(size for _, _, size in fields)
            if used % self.long_size:
                fields.append(("unsigned int", "", 4))
            fields.append(("unsigned long", "args[]", 0))
        return fields


@dataclass
class Cpu:
    """The pages of one CPU, filled record by record; times must not go back."""

    kernel: Kernel
    number: int
    clock: int = 0
    _pages: list[bytes] = field(default_factory=list)
    _data: bytearray = field(default_factory=bytearray)
    _first: int = -1
    _missed: int = 0
    has_retaddr: bool = False

    def entry(
        self,
        time: int,
        pid: int,
        func: int,
        depth: int,
        *,
        args: Sequence[int] = (),
        retaddr: int | None = None,
        flags: int = 0,
    ) -> None:
        """A funcgraph_entry, or with ``retaddr`` an fgraph_retaddr_entry."""
        k = self.kernel
        event = ENTRY_ID if retaddr is None else RETADDR_ID
        self.has_retaddr |= retaddr is not None
        values = {"func": func, "depth": depth, "retaddr": retaddr or 0, "": 0}
        data = b"".join(
            _number(k, values[name], size) for _, name, size in k.entry_fields(retaddr=retaddr is not None) if size
        )
        self.event(time, pid, event, data + b"".join(k.pack("L", a & M64) for a in args), flags=flags)

    def exit(
        self,
        time: int,
        pid: int,
        func: int,
        depth: int,
        calltime: int,
        rettime: int,
        *,
        retval: int = 0,
        overrun: int = 0,
        flags: int = 0,
    ) -> None:
        """A funcgraph_exit."""
        k = self.kernel
        values = {
            "func": func, "depth": depth, "calltime": calltime, "rettime": rettime, "retval": retval, "overrun": overrun
        }
        data = b"".join(_number(k, values[name], size) for _, name, size in k.exit_fields())
        self.event(time, pid, EXIT_ID, data, flags=flags)

    def event(self, time: int, pid: int, event: int, data: bytes, *, flags: int = 0, long_form: bool = False) -> None:
        """Any record; ``data`` is what follows the common fields. ``long_form``: its length in a word of its own."""
        k = self.kernel
        body = k.pack("HBBi", event, flags, 0, pid) + data
        body += bytes(-len(body) % 4)
        words = len(body) // 4
        long_form = long_form or words > 28
        size = len(body) + (8 if long_form else 4)
        delta = self._open(time, size)
        if long_form:
            self._word(0, delta)
            self._data += k.pack("I", len(body) + 4)
        else:
            self._word(words, delta)
        self._data += body

    def raw(self, time: int, body: bytes) -> None:
        """A record as it stood in another file, from its common fields on."""
        size = len(body)
        long_form = size % 4 != 0 or size // 4 > 28
        delta = self._open(time, size + (8 if long_form else 4))
        if long_form:
            self._word(0, delta)
            self._data += self.kernel.pack("I", size + 4)
        else:
            self._word(size // 4, delta)
        self._data += body

    def discarded(self, time: int, size: int) -> None:
        """A record that was taken back: padding with a length."""
        delta = self._open(time, size + 8)
        self._word(29, max(delta, 1))
        self._data += self.kernel.pack("I", size + 4) + bytes(size)
        self.clock = self.clock + (1 if delta == 0 else 0)

    def absolute(self, time: int) -> None:
        """An absolute timestamp: its low 59 bits."""
        self._open(self.clock, 8, keep_clock=True)
        low = time & (1 << 59) - 1
        self._word(31, low & (1 << 27) - 1)
        self._data += self.kernel.pack("I", low >> 27)
        self.clock = time

    def pad(self) -> None:
        """The rest of the page is not used, and the commit covers a padding record with delta 0."""
        if len(self._data) + 4 <= self._room:
            self._word(29, 0)
        self.close_page()

    def lose(self, count: int = -1) -> None:
        """Records are lost here: a new page says so, and how many if that is counted."""
        self.close_page()
        self._missed = count

    def close_page(self) -> None:
        """What comes next stands on a new page."""
        if not self._data:
            return
        k = self.kernel
        commit = len(self._data)
        tail = b""
        if self._missed:
            commit |= 1 << 31
            if self._missed > 0 and len(self._data) + k.long_size <= self._room:
                commit |= 1 << 30
                tail = k.pack("L", self._missed)
        if k.big_endian and k.long_size == 8 and commit >> 31:
            # As the kernel's int flags arrive in a long: sign-extended.
            commit |= 0xFFFFFFFF << 32
        page = k.pack("QL", self._first, commit) + bytes(self._data) + tail
        self._pages.append(page + bytes(k.page_size - len(page)))
        self._data, self._first, self._missed = bytearray(), -1, 0

    def pages(self) -> bytes:
        """All pages."""
        self.close_page()
        return b"".join(self._pages)

    @property
    def _room(self) -> int:
        return self.kernel.page_size - self.kernel.header

    def _open(self, time: int, size: int, *, keep_clock: bool = False) -> int:
        """Room for ``size`` bytes; the delta of a record at ``time``."""
        assert keep_clock or time >= self.clock, "times must not go back on one CPU"
        # Room for a time extend, and for a count of lost records behind the data.
        if len(self._data) + size + 8 + self.kernel.long_size > self._room:
            self.close_page()
        if self._first < 0:
            self._first = self.clock = time
        delta = time - self.clock
        if delta >> 27:
            self._word(30, delta & (1 << 27) - 1)
            self._data += self.kernel.pack("I", delta >> 27 & 0xFFFFFFFF)
            delta = 0
        self.clock = time
        return delta

    def _word(self, kind: int, delta: int) -> None:
        value = kind << 27 | delta if self.kernel.big_endian else delta << 5 | kind
        self._data += self.kernel.pack("I", value)


def records_in(kernel: Kernel, page: bytes) -> Iterator[tuple[int, bytes]]:
    """(time, bytes from common_type on) of each record in a page of a file."""

    def word(at: int) -> int:
        return int(struct.unpack_from(f"{kernel.order}I", page, at)[0])

    (time,) = struct.unpack_from(f"{kernel.order}Q", page)
    at = kernel.header
    # The low word of the commit, which is a long.
    end = at + (word(12 if kernel.big_endian and kernel.long_size == 8 else 8) & 0xFFFFF)
    while at + 4 <= end:
        head = word(at)
        kind, delta = (head >> 27, head & (1 << 27) - 1) if kernel.big_endian else (head & 31, head >> 5)
        at += 4
        if kind == 29:
            if not delta:
                break
            time += delta
            at += word(at)
        elif kind in (30, 31):
            high = word(at) << 27
            time = time + delta + high if kind == 30 else time >> 59 << 59 | high | delta
            at += 4
        else:
            time += delta
            size = 4 * kind
            if not kind:
                size = word(at) - 4
                at += 4
            yield time, page[at : at + size]
            at += size


def _number(kernel: Kernel, value: int, size: int) -> bytes:
    order = "big" if kernel.big_endian else "little"
    return (value & (1 << 8 * size) - 1).to_bytes(size, order)  # type: ignore[arg-type]


def format_block(name: str, number: int, fields: Sequence[tuple[str, str, int]]) -> bytes:
    """A tracefs format file; offsets follow from the sizes."""
    lines = [f"name: {name}", f"ID: {number}", "format:"]
    at = 0
    common = [("unsigned short", "common_type", 2), ("unsigned char", "common_flags", 1)]
    common += [("unsigned char", "common_preempt_count", 1), ("int", "common_pid", 4)]
    for own, (ctype, field_name, size) in [*((False, f) for f in common), *((True, f) for f in fields)]:
        if own and at == 8:
            lines.append("")
        signed = int("unsigned" not in ctype.split())
        if field_name:
            lines.append(f"\tfield:{ctype} {field_name};\toffset:{at};\tsize:{size};\tsigned:{signed};")
        at += size
    return ("\n".join([*lines, "", 'print fmt: ""', ""])).encode()


def format_blocks(kernel: Kernel, *blocks: bytes) -> bytes:
    """The section of ftrace's own formats: funcgraph_entry, funcgraph_exit, and what ``blocks`` adds or replaces."""
    entry = format_block("funcgraph_entry", ENTRY_ID, kernel.entry_fields(retaddr=False))
    exit_ = format_block("funcgraph_exit", EXIT_ID, kernel.exit_fields())
    replaced = {block.split(b"\n")[0] for block in blocks}
    kept = [*(block for block in (entry, exit_) if block.split(b"\n")[0] not in replaced), *blocks]
    return kernel.pack("I", len(kept)) + b"".join(kernel.pack("Q", len(block)) + block for block in kept)


def header_page(kernel: Kernel) -> bytes:
    """The tracefs file events/header_page."""
    n = kernel.long_size
    return (
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
        f"\tfield: local_t commit;\toffset:8;\tsize:{n};\tsigned:1;\n"
        f"\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
        f"\tfield: char data;\toffset:{8 + n};\tsize:{kernel.page_size - 8 - n};\tsigned:1;\n"
    ).encode()


def kallsyms(symbols: Symbols, kernel: Kernel) -> bytes:
    """/proc/kallsyms."""
    width = 2 * kernel.long_size
    return "".join(
        f"{address:0{width}x} {kind} {name}" + (f"\t[{module}]" if module else "") + "\n"
        for address, (kind, name, module) in symbols.items()
    ).encode()


@dataclass(frozen=True)
class Extra:
    """What a file may hold besides its CPUs. ``events``: (system, name, id, fields)."""

    comms: Mapping[int, str] = field(default_factory=dict)
    events: Sequence[tuple[str, str, int, Sequence[tuple[str, str, int]]]] = ()
    options: Sequence[tuple[int, bytes]] = ()
    """(id, data) beside those that every file has."""
    all_options: Sequence[tuple[int, bytes]] | None = None
    """Instead of those that every file has."""
    sections: Mapping[int, bytes] = field(default_factory=dict)
    """Further sections (v7): id -> content."""
    instead: Mapping[int, bytes] = field(default_factory=dict)
    """Contents of sections 16 to 21 that are not what the rest says: ids as in v7."""
    clock: str = "local"
    buffers: Mapping[str, Sequence[Cpu]] = field(default_factory=dict)
    """Further buffers by name."""


def trace_dat(
    kernel: Kernel,
    cpus: Sequence[Cpu],
    *,
    symbols: Symbols,
    extra: Extra | None = None,
    version: int = 7,
    compression: str = "none",
    small: bool = False,
) -> bytes:
    """A whole file. ``compression``: none, zlib or zstd (version 7); ``small``: zstd as small as can be."""
    extra = extra or Extra()
    writer = (_V6 if version == 6 else _V7)(kernel, cpus, symbols, extra, compression)
    if small:
        writer.level = 19
    return writer.write()


class _Writer:
    level = 3

    def __init__(
        self, kernel: Kernel, cpus: Sequence[Cpu], symbols: Symbols, extra: Extra, compression: str
    ) -> None:
        self.kernel, self.cpus, self.symbols, self.extra, self.compression = kernel, cpus, symbols, extra, compression
        self.out = bytearray()

    def head(self, version: int) -> None:
        k = self.kernel
        self.out += b"\x17\x08\x44tracing" + f"{version}".encode() + b"\0"
        self.out += bytes([k.big_endian, k.long_size]) + k.pack("I", k.page_size)

    def header_info(self) -> bytes:
        k = self.kernel
        page = header_page(k)
        event = b"# compressed entry header\n"
        return b"header_page\0" + k.pack("Q", len(page)) + page + b"header_event\0" + k.pack("Q", len(event)) + event

    def ftrace_formats(self) -> bytes:
        k = self.kernel
        blocks = [
            format_block("funcgraph_entry", ENTRY_ID, k.entry_fields(retaddr=False)),
            format_block("funcgraph_exit", EXIT_ID, k.exit_fields()),
            format_block("fgraph_retaddr_entry", RETADDR_ID, k.entry_fields(retaddr=True)),
        ]
        if not any(cpu.has_retaddr for cpus in (self.cpus, *self.extra.buffers.values()) for cpu in cpus):
            blocks.pop()
        return k.pack("I", len(blocks)) + b"".join(k.pack("Q", len(block)) + block for block in blocks)

    def event_formats(self) -> bytes:
        k = self.kernel
        systems: dict[str, list[bytes]] = {}
        for system, name, number, fields in self.extra.events:
            systems.setdefault(system, []).append(format_block(name, number, fields))
        out = k.pack("I", len(systems))
        for system, blocks in systems.items():
            out += system.encode() + b"\0" + k.pack("I", len(blocks))
            out += b"".join(k.pack("Q", len(block)) + block for block in blocks)
        return out

    def sized(self, text: bytes, layout: str = "I") -> bytes:
        return self.kernel.pack(layout, len(text)) + text

    def comms(self) -> bytes:
        return "".join(f"{pid} {comm}\n" for pid, comm in self.extra.comms.items()).encode()

    def contents(self) -> dict[int, bytes]:
        """Section id -> content, in the order of the file."""
        contents = {
            16: self.header_info(),
            17: self.ftrace_formats(),
            18: self.event_formats(),
            19: self.sized(kallsyms(self.symbols, self.kernel)),
            20: self.sized(b""),
            21: self.sized(self.comms(), "Q"),
        }
        return {**contents, **self.extra.instead}

    def common_options(self) -> list[tuple[int, bytes]]:
        if self.extra.all_options is not None:
            return list(self.extra.all_options)
        clock = self.extra.clock
        return [
            (4, f"{'[local]' if clock == 'local' else f'local [{clock}]'} other\n".encode() + b"\0"),
            (5, b"Linux built 6.99.0-test x86_64\0"),
            (8, self.kernel.pack("I", max((cpu.number for cpu in self.cpus), default=0) + 1)),
            (9, b"3.4.0 built\0"),
            *self.extra.options,
        ]

    def align(self) -> None:
        self.out += bytes(-len(self.out) % self.kernel.page_size)


class _V7(_Writer):
    def write(self) -> bytes:
        k = self.kernel
        self.head(7)
        self.out += self.compression.encode() + b"\0" + b"1.0\0"
        options_at = len(self.out)
        self.out += bytes(8)
        options = self.common_options()
        for number, content in (*self.contents().items(), *self.extra.sections.items()):
            options.append((number, k.pack("Q", len(self.out))))
            self.section(number, content)
        for name, cpus in {"": self.cpus, **self.extra.buffers}.items():
            options.append((3, self.buffer(name, cpus)))
        struct.pack_into(k.order + "Q", self.out, options_at, len(self.out))
        body = b"".join(k.pack("HI", number, len(data)) + data for number, data in options)
        body += k.pack("HIQ", 0, 8, 0)
        self.out += k.pack("HHIQ", 0, 0, 0, len(body)) + body
        return bytes(self.out)

    def section(self, number: int, content: bytes) -> None:
        compressed = self.compression != "none"
        if compressed:
            packed = self.pack(content)
            content = self.kernel.pack("II", len(packed), len(content)) + packed
        self.out += self.kernel.pack("HHIQ", number, int(compressed), 0, len(content)) + content

    def pack(self, data: bytes) -> bytes:
        if self.compression == "zlib":
            return zlib.compress(data)
        import zstandard

        # As trace-cmd's frames: without their content's size.
        return zstandard.ZstdCompressor(self.level, write_content_size=False).compress(data)

    def buffer(self, name: str, cpus: Sequence[Cpu]) -> bytes:
        k = self.kernel
        offset = len(self.out)
        self.out += k.pack("HHIQ", 3, int(self.compression != "none"), 0, 0)
        entries = b""
        for cpu in cpus:
            self.align()
            start = len(self.out)
            data = cpu.pages()
            if self.compression == "none":
                self.out += data
            else:
                size = PAGES_IN_CHUNK * k.page_size
                chunks = [data[at : at + size] for at in range(0, len(data), size)]
                self.out += k.pack("I", len(chunks))
                for chunk in chunks:
                    packed = self.pack(chunk)
                    self.out += k.pack("II", len(packed), len(chunk)) + packed
            entries += k.pack("IQQ", cpu.number, start, len(self.out) - start)
        struct.pack_into(k.order + "Q", self.out, offset + 8, len(self.out) - offset - 16)
        clock = self.extra.clock.encode()
        head = k.pack("Q", offset) + name.encode() + b"\0" + clock + b"\0"
        return head + k.pack("II", k.page_size, len(cpus)) + entries


class _V6(_Writer):
    def write(self) -> bytes:
        k = self.kernel
        self.head(6)
        self.out += b"".join(self.contents().values())
        n_cpus = max((cpu.number for cpu in self.cpus), default=-1) + 1
        self.out += k.pack("I", n_cpus) + b"options  \0"
        places = []
        for number, data in self.common_options():
            self.out += k.pack("HI", number, len(data)) + data
        for name in self.extra.buffers:
            self.out += k.pack("HI", 3, 8 + len(name) + 1)
            places.append(len(self.out))
            self.out += bytes(8) + name.encode() + b"\0"
        self.out += k.pack("H", 0)
        self.cpu_data(self.cpus, n_cpus)
        for place, cpus in zip(places, self.extra.buffers.values(), strict=True):
            struct.pack_into(k.order + "Q", self.out, place, len(self.out))
            self.cpu_data(cpus, n_cpus)
        return bytes(self.out)

    def cpu_data(self, cpus: Sequence[Cpu], n_cpus: int) -> None:
        k = self.kernel
        self.out += b"flyrecord\0"
        table = len(self.out)
        self.out += bytes(16 * n_cpus)
        pages = {cpu.number: cpu.pages() for cpu in cpus}
        for number in range(n_cpus):
            self.align()
            data = pages.get(number, b"")
            struct.pack_into(k.order + "QQ", self.out, table + 16 * number, len(self.out), len(data))
            self.out += data


def _in_order(trace: Trace) -> list[tuple[int, int, int, bool]]:
    """(time, place in its lane's stream, row, is it the exit) of every record."""
    calls = trace.calls
    starts, ends, no_exit = calls.start_ns.tolist(), calls.end.tolist(), int(Flag.NO_EXIT)
    exits, flags = (calls.start_ns + calls.duration_ns).tolist(), calls.flags.tolist()
    found: list[tuple[int, int, int, bool]] = []
    open_rows: list[int] = []

    def close(before: int) -> None:
        while open_rows and ends[open_rows[-1]] <= before:
            row = open_rows.pop()
            if not flags[row] & no_exit:
                found.append((exits[row], len(found), row, True))

    for row, start in enumerate(starts):
        close(row)
        found.append((start, len(found), row, False))
        open_rows.append(row)
    close(len(starts))
    return found


TEXT = 0xFFFFFFFF81000000
MODULE = 0xFFFFFFFFC0A00000
GONE = 0xFFFFFFFFC0B08000


def dat_of(trace: Trace, kernel: Kernel | None = None, **options: object) -> bytes:
    """A trace (of ``builder.tables``) as trace.dat: one record per entry and exit, in order of time.

    Names that are addresses get no symbol; a call that is unfinished gets no exit.
    """
    kernel = kernel or Kernel()
    mask = (1 << 8 * kernel.long_size) - 1
    addresses: list[int] = []
    symbols: dict[int, tuple[str, str, str]] = {TEXT & mask: ("T", "_stext", "")}
    for code, name in enumerate(trace.symbols.names):
        module = trace.symbols.modules[code]
        address = (int(name, 16) if name.startswith("0x") else (MODULE if module else TEXT) + 0x100 * (code + 1)) & mask
        addresses.append(address)
        if code and not name.startswith("0x"):
            symbols[address] = ("t", name, module)
    calls = trace.calls
    cpus = {number: Cpu(kernel, number) for number in set(calls.cpu.tolist())}
    pids = {lane: trace.tasks[lane].pid for lane in set(calls.lane.tolist())}
    columns = (calls.cpu, calls.lane, calls.func, calls.depth, calls.context, calls.duration_ns)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    for time, _, row, is_exit in sorted(_in_order(trace)):
        number, lane, code, depth, context, duration = rows[row]
        cpu, pid, func = cpus[number], pids[lane], addresses[code]
        flags = {0: 0, 1: 0x10, 2: 0x08, 3: 0x40}.get(context, 0)
        if not is_exit:
            cpu.entry(time, pid, func, depth, flags=flags)
        else:
            cpu.exit(time, pid, func, depth, time - duration, time, flags=flags)
    comms = {task.pid: task.comm for task in trace.tasks.tasks if task.comm}
    ordered = [cpus[number] for number in sorted(cpus)]
    return trace_dat(kernel, ordered, symbols=symbols, extra=Extra(comms=comms), **options)  # type: ignore[arg-type]
