"""The container: header, options, sections and buffers of trace.dat v6 and v7.

Source: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5), and trace-input.c of libtracecmd where they are silent.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass, field

from kfgraph.errors import InputError, Notice
from kfgraph.parse.tracedat.source import MAX_CHUNK, MAX_SECTION, Codec, Damage, Fields, Source

MAGIC = b"\x17\x08\x44tracing"
_COMPRESSED = 1
_MAX_CPUS = 1 << 14
MAX_PAGE = 1 << 20
"""Pages are of 4 to 64 KiB, sub-buffers (a kernel option) of a few times that."""


class Option(enum.IntEnum):
    """Ids of options and sections."""

    DONE = 0
    DATE = 1
    CPUSTAT = 2
    BUFFER = 3
    TRACECLOCK = 4
    UNAME = 5
    OFFSET = 7
    CPUCOUNT = 8
    VERSION = 9
    TRACEID = 11
    TIME_SHIFT = 12
    TSC2NSEC = 14
    HEADER_INFO = 16
    FTRACE_EVENTS = 17
    EVENT_FORMATS = 18
    KALLSYMS = 19
    PRINTK = 20
    CMDLINES = 21
    BUFFER_TEXT = 22
    BTF = 23
    LAST_BOOT = 24
    MODULES = 25


_SECTIONS = frozenset(range(Option.HEADER_INFO, Option.CMDLINES + 1)) | {Option.BTF, Option.MODULES}


@dataclass(frozen=True)
class Chunk:
    """Part of a CPU's data: ``size`` bytes, stored as ``stored`` bytes at ``offset`` of the file."""

    offset: int
    stored: int
    size: int
    compressed: bool


@dataclass(frozen=True)
class CpuData:
    """All chunks of one CPU, in order."""

    cpu: int
    chunks: tuple[Chunk, ...]
    source: Source


@dataclass
class Buffer:
    """One trace buffer: the main one is named ""."""

    name: str
    clock: str
    page_size: int
    cpus: list[CpuData] = field(default_factory=list)
    is_text: bool = False


class Container:
    """What a trace.dat holds, its sections read when asked for.

    ``options`` are (id, data, offset) in file order. ``notices`` says what was damaged or missing and
    passed over.
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str = "") -> None:
        self.source = Source(path)
        self.name = name or self.source.path
        self.notices: list[Notice] = []
        self.options: list[tuple[int, bytes, int]] = []
        self.buffers: list[Buffer] = []
        self._sections: dict[int, tuple[int, bool, int, bool]] = {}
        try:
            self._read_header()
            if self.version >= 7:
                self._read_v7()
            else:
                self._read_v6()
        except Damage as damage:
            self.source.close()
            raise damage.as_error(self.name) from None

    def close(self) -> None:
        """Close the file, and those that were found beside it."""
        self.source.close()
        for buffer in self.buffers:
            for data in buffer.cpus:
                data.source.close()

    def fields(self, offset: int, size: int) -> Fields:
        """``size`` bytes of the file at ``offset``, to be read as fields."""
        return Fields(self.source.read(offset, size), base=offset, big_endian=self.big_endian)

    def fields_of(self, data: bytes, offset: int) -> Fields:
        """Bytes that came from ``offset`` by decompression, to be read as fields."""
        return Fields(data, base=offset, big_endian=self.big_endian, fixed_base=True)

    def section(self, option: Option) -> Fields | None:
        """The content of a section, None where the file has none.

        Raises:
            Damage: its size or its compression is wrong.
        """
        place = self._sections.get(option)
        if place is None:
            return None
        offset, has_header, size, compressed = place
        if has_header:
            head = self.fields(offset, 16)
            found, flags = head.number(2, "a section header"), head.number(2, "a section header")
            if found != option:
                raise Damage(offset, f"section {option.name} is not where the options say")
            compressed = bool(flags & _COMPRESSED)
            head.number(4, "a section header")
            size = head.number(8, "a section header")
            offset += 16
        if compressed:
            return self.fields_of(self._expand(offset), offset)
        return self.fields(offset, size)

    def _expand(self, offset: int) -> bytes:
        head = self.fields(offset, 8)
        stored, size = head.number(4, "a compressed block"), head.number(4, "a compressed block")
        data = self.source.read(offset + 8, stored)
        if len(data) < stored:
            raise Damage(offset, f"a compressed block of {stored} bytes runs past the end of the file")
        return self.codec.expand(data, size, offset, limit=MAX_SECTION)

    def expand_chunk(self, source: Source, chunk: Chunk) -> bytes:
        """The data of a chunk.

        Raises:
            Damage: it cannot be decompressed.
        """
        data = source.read(chunk.offset, chunk.stored)
        if not chunk.compressed:
            return data
        if len(data) < chunk.stored:
            raise Damage(chunk.offset, "a chunk of trace data runs past the end of the file")
        return self.codec.expand(data, chunk.size, chunk.offset, limit=MAX_CHUNK)

    def first_option(self, option: Option) -> Fields | None:
        """The first option of this kind."""
        return next(iter(self.all_options(option)), None)

    def all_options(self, option: Option) -> list[Fields]:
        """Every option of this kind, in file order."""
        return [self.fields_of(data, offset) for found, data, offset in self.options if found == option]

    def text_option(self, option: Option) -> str:
        """An option that is text, "" where it is missing."""
        fields = self.first_option(option)
        return "" if fields is None else fields.data.split(b"\0")[0].decode("utf-8", "replace").strip()

    @property
    def clock(self) -> str:
        """The main buffer's trace clock: the bracketed word of the TRACECLOCK option."""
        words = self.text_option(Option.TRACECLOCK).split()
        return next((word[1:-1] for word in words if word.startswith("[") and word.endswith("]")), "")

    def _read_header(self) -> None:
        head = Fields(self.source.read(0, 4096), base=0, big_endian=False)
        path = self.name
        if not head.left():
            raise InputError(f"{path} is empty", "was the recording interrupted before it wrote anything?")
        if head.data[: len(MAGIC)] != MAGIC:
            raise InputError(f"{path} is not a trace.dat file", "its first bytes are not trace-cmd's")
        head.pos = len(MAGIC)
        version = head.string("the file version")
        if version not in ("6", "7"):
            raise InputError(f"{path}: trace.dat version {version[:20]!r} is unknown", "kfgraph reads versions 6 and 7")
        self.version = int(version)
        order = head.number(1, "the byte order")
        self.long_size = head.number(1, "the size of a long")
        if order > 1 or self.long_size not in (4, 8):
            raise Damage(head.offset, "neither a known byte order nor a known size of long")
        self.big_endian = bool(order)
        head = Fields(head.data, base=0, big_endian=self.big_endian)
        head.pos = len(MAGIC) + len(version) + 3
        self.page_size = self._checked_page_size(head.number(4, "the page size"), head.offset)
        self.codec = Codec("none", 0)
        self._options_at = 0
        if self.version >= 7:
            at = head.offset
            self.codec = Codec(head.string("the compression's name"), at)
            head.string("the compression's version")
            self._options_at = head.number(8, "the offset of the options")
        self._after_header = head.pos

    @staticmethod
    def _checked_page_size(size: int, offset: int) -> int:
        if not 64 <= size <= MAX_PAGE or size & (size - 1):
            raise Damage(offset, f"a page size of {size} bytes")
        return size

    # Version 7

    def _read_v7(self) -> None:
        visited: set[int] = set()
        offset = self._options_at
        reached_end = False
        try:
            while offset and offset not in visited:
                visited.add(offset)
                offset = self._read_options_section(offset)
                reached_end = not offset
        except Damage as damage:
            self._miss("options", damage.what, damage.offset)
        if not reached_end:
            self._find_sections()
        for option, data, at in self.options:
            if option in _SECTIONS and option not in self._sections and len(data) >= 8:
                place = self.fields_of(data, at).number(8, "an option")
                self._sections[option] = (place, True, 0, False)
        self._read_buffers_v7(complete=reached_end)

    def _read_options_section(self, offset: int) -> int:
        """Read one options section; the offset of the next, 0 if it is the last."""
        head = self.fields(offset, 16)
        if head.number(2, "a section header") != Option.DONE:
            raise Damage(offset, "no options section where one should be")
        flags = head.number(2, "a section header")
        head.number(4, "a section header")
        size = head.number(8, "a section header")
        body = offset + 16
        if flags & _COMPRESSED:
            fields = self.fields_of(self._expand(body), body)
        else:
            fields = self.fields(body, min(size, MAX_SECTION))
        while True:
            at = fields.offset
            option = fields.number(2, "an option")
            data = fields.take(fields.number(4, "an option"), "an option")
            if option == Option.DONE:
                return self.fields_of(data, at).number(8, "the offset of the next options")
            self.options.append((option, data, at))

    def _find_sections(self) -> None:
        """Sections one after another from the header on, for a file whose list of them is not there."""
        offset = self._after_header
        while offset + 16 <= self.source.size:
            head = self.fields(offset, 16)
            option, flags = head.number(2, "a section header"), head.number(2, "a section header")
            head.number(4, "a section header")
            size = head.number(8, "a section header")
            if option in _SECTIONS and option not in self._sections:
                self._sections[option] = (offset + 16, False, size, bool(flags & _COMPRESSED))
            elif option == Option.DONE and not self.options:
                try:
                    self._read_options_section(offset)
                except Damage as damage:
                    self._miss("options", damage.what, damage.offset)
            elif option == Option.BUFFER:
                self._lost_buffer_at = (offset + 16, bool(flags & _COMPRESSED))
                return
            if option > Option.MODULES or size == 0 or size > self.source.size - offset:
                return
            offset += 16 + size

    _lost_buffer_at: tuple[int, bool] | None = None

    def _read_buffers_v7(self, *, complete: bool) -> None:
        for option, data, at in self.options:
            try:
                if option == Option.BUFFER:
                    self._read_buffer_option(self.fields_of(data, at))
                elif option == Option.BUFFER_TEXT:
                    fields = self.fields_of(data, at)
                    fields.number(8, "a buffer option")
                    self.buffers.append(Buffer(fields.string("a buffer's name"), "", self.page_size, is_text=True))
            except Damage as damage:
                self._miss("buffer", damage.what, damage.offset)
        if not self.buffers and not complete:
            self._recover_buffer()

    def _read_buffer_option(self, fields: Fields) -> None:
        offset = fields.number(8, "a buffer option")
        name, clock = fields.string("a buffer's name"), fields.string("a buffer's clock")
        at = fields.offset
        buffer = Buffer(name, clock, self._checked_page_size(fields.number(4, "a buffer option"), at))
        head = self.fields(offset, 16)
        head.number(2, "a buffer section")
        compressed = bool(head.number(2, "a buffer section") & _COMPRESSED)
        # Appended before its CPUs: what is read before a damage counts.
        self.buffers.append(buffer)
        for _ in range(min(fields.number(4, "a buffer option"), _MAX_CPUS)):
            cpu = fields.number(4, "a buffer's CPU")
            start, size = fields.number(8, "a buffer's CPU"), fields.number(8, "a buffer's CPU")
            if cpu >= _MAX_CPUS:
                raise Damage(fields.offset, f"CPU {cpu}")
            self._add_cpu(buffer, cpu, start, size, compressed=compressed)

    def _add_cpu(self, buffer: Buffer, cpu: int, start: int, size: int, *, compressed: bool) -> None:
        if any(data.cpu == cpu for data in buffer.cpus):
            self._miss("cpu", f"CPU {cpu} is listed twice", start)
            return
        if start > self.source.size or size > self.source.size - start:
            kept = max(0, self.source.size - start)
            self._miss(
                "cut-file", f"the file ends before the data of CPU {cpu} does ({size - kept} bytes missing)", start
            )
            size = kept
        if not size:
            return
        if compressed:
            # trace-cmd 3.1 leaves the count out of the size, 3.4 does not: the chunks tell where they end.
            chunks, _ = self._chunks(start, self.source.size, cpu, buffer.page_size)
        else:
            chunks = _plain_chunks(start, size, buffer.page_size)
        buffer.cpus.append(CpuData(cpu, chunks, self.source))

    def _chunks(self, start: int, end: int, cpu: int, page_size: int) -> tuple[tuple[Chunk, ...], int]:
        """The chunks of one CPU's compressed data in [start, end), and where they end."""
        chunks: list[Chunk] = []
        try:
            n_chunks = self.fields(start, 4).number(4, "the number of chunks")
        except Damage as damage:
            self._miss("cut-file", damage.what, damage.offset)
            return (), start
        offset = start + 4
        for n_read in range(n_chunks):
            head = self.fields(offset, 8)
            if offset + 8 > end or head.left() < 8:
                self._miss("cut-file", f"{n_chunks - n_read} chunks of CPU {cpu} are missing", offset)
                break
            stored, size = head.number(4, "a chunk"), head.number(4, "a chunk")
            if stored > end - offset - 8:
                self._miss("cut-file", f"{n_chunks - n_read} chunks of CPU {cpu} are missing", offset)
                break
            if size > min(MAX_CHUNK, 16 * page_size) or not stored:
                self._miss("damaged-chunk", f"a chunk of CPU {cpu} says it holds {size} bytes", offset)
                break
            chunks.append(Chunk(offset + 8, stored, size, True))
            offset += 8 + stored
        return tuple(chunks), offset

    def _recover_buffer(self) -> None:
        """A file without its list of buffers: the data itself says where each CPU's begins."""
        leftovers = self._leftovers()
        if leftovers:
            self._add_leftovers(leftovers)
            return
        if self._lost_buffer_at is None:
            return
        offset, compressed = self._lost_buffer_at
        if not compressed:
            raise Damage(offset, "the list of the CPUs' data at the end of the file is missing, it was cut or is still being written")
        buffer = Buffer("", self.clock, self.page_size)
        self.buffers.append(buffer)
        offset = -(-offset // self.page_size) * self.page_size
        while offset + 4 < self.source.size and len(buffer.cpus) < _MAX_CPUS:
            chunks, end = self._chunks(offset, self.source.size, len(buffer.cpus), self.page_size)
            if not chunks:
                break
            buffer.cpus.append(CpuData(len(buffer.cpus), chunks, self.source))
            offset = -(-end // self.page_size) * self.page_size
        if buffer.cpus:
            self._miss(
                "cut-file",
                f"the list of CPUs at the end of the file is missing; what stands before it was taken for CPUs "
                f"0 to {len(buffer.cpus) - 1} of the main buffer",
                self.source.size,
            )

    def _leftovers(self) -> list[tuple[int, str]]:
        """(cpu, path) of the per-CPU files that a killed trace-cmd leaves beside its output."""
        found = []
        folder, name = os.path.split(self.source.path)
        for entry in os.listdir(folder or "."):
            cpu = entry.removeprefix(f"{name}.cpu")
            if cpu != entry and cpu.isdecimal() and int(cpu) < _MAX_CPUS:
                found.append((int(cpu), os.path.join(folder, entry)))  # noqa: PTH118 - the path as the user wrote it
        return sorted(found)

    def _add_leftovers(self, leftovers: list[tuple[int, str]]) -> None:
        buffer = Buffer("", self.clock or "local", self.page_size)
        self.buffers.append(buffer)
        for cpu, path in leftovers:
            source = Source(path)
            if source.size:
                buffer.cpus.append(CpuData(cpu, _plain_chunks(0, source.size, self.page_size), source))
            else:
                source.close()
        self._miss(
            "leftover-files",
            f"the recorder did not finish this file: the data was taken from the {len(leftovers)} per-CPU files beside it",
            self.source.size,
        )

    # Version 6

    def _read_v6(self) -> None:
        offset = self._after_header
        try:
            offset = self._skip_v6_sections(offset)
            fields = self.fields(offset, 4)
            n_cpus = fields.number(4, "the number of CPUs")
            if n_cpus > _MAX_CPUS:
                raise Damage(offset, f"{n_cpus} CPUs")
            offset += 4
            kind, offset = self._skip_v6_options(offset)
            for data in self.all_options(Option.CPUCOUNT):
                n_cpus = min(data.number(4, "the CPU count"), _MAX_CPUS)
        except Damage as damage:
            self._miss("cut-file", damage.what, damage.offset)
            leftovers = self._leftovers()
            if not leftovers or Option.FTRACE_EVENTS not in self._sections:
                raise
            self._add_leftovers(leftovers)
            return
        if kind.startswith(b"latency"):
            self.buffers.append(Buffer("", self.clock, self.page_size, is_text=True))
            return
        self.buffers.append(Buffer("", self.clock or "local", self.page_size))
        self._read_cpus_v6(self.buffers[0], offset, n_cpus)
        if not self.clock and self.first_option(Option.TRACECLOCK) is not None:
            self.buffers[0].clock = self._clock_after_cpus(offset + 16 * n_cpus)
        for option in self.all_options(Option.BUFFER):
            try:
                at = option.number(8, "a buffer option")
                buffer = Buffer(option.string("a buffer's name"), self.clock or "local", self.page_size)
                kind, at = self._skip_v6_options(at)
                buffer.is_text = kind.startswith(b"latency")
                self.buffers.append(buffer)
                self._read_cpus_v6(buffer, at, n_cpus)
            except Damage as damage:
                self._miss("buffer", damage.what, damage.offset)

    def _clock_after_cpus(self, offset: int) -> str:
        """The trace clock where an old trace-cmd put it; "local" as trace-cmd has it where it is damaged."""
        try:
            fields = self.fields(offset, 4096)
            words = fields.take(fields.number(8, "the clock"), "the clock").decode("utf-8", "replace").split()
        except Damage:
            words = []
        return next((word[1:-1] for word in words if word.startswith("[") and word.endswith("]")), "local")

    def _skip_v6_sections(self, offset: int) -> int:
        """Note where each part of the metadata lies; where they end."""
        start = offset
        for word in (b"header_page\0", b"header_event\0"):
            if self.source.read(offset, len(word)) != word:
                raise Damage(offset, f"no {word[:-1].decode()} where it should be")
            offset += len(word)
            offset += 8 + self.fields(offset, 8).number(8, "a header's size")
        self._sections[Option.HEADER_INFO] = (start, False, offset - start, False)
        start = offset
        count = self.fields(offset, 4).number(4, "the number of events")
        offset = self._skip_formats(offset + 4, count)
        self._sections[Option.FTRACE_EVENTS] = (start, False, offset - start, False)
        start = offset
        n_systems = self.fields(offset, 4).number(4, "the number of event systems")
        offset += 4
        for _ in range(n_systems):
            name = self.fields(offset, 256)
            name.string("an event system's name")
            offset += name.pos
            offset = self._skip_formats(offset + 4, self.fields(offset, 4).number(4, "the number of events"))
        self._sections[Option.EVENT_FORMATS] = (start, False, offset - start, False)
        for option, width in ((Option.KALLSYMS, 4), (Option.PRINTK, 4), (Option.CMDLINES, 8)):
            size = self.fields(offset, width).number(width, f"the size of {option.name.lower()}")
            if size > min(MAX_SECTION, self.source.size):
                raise Damage(offset, f"{option.name.lower()} of {size} bytes")
            self._sections[option] = (offset, False, width + size, False)
            offset += width + size
        return offset

    def _skip_formats(self, offset: int, count: int) -> int:
        for _ in range(count):
            offset += 8 + self.fields(offset, 8).number(8, "an event format's size")
            if offset > self.source.size:
                raise Damage(self.source.size, "an event format runs past the end of the file")
        return offset

    def _skip_v6_options(self, offset: int) -> tuple[bytes, int]:
        """Collect the options; the word after them (``flyrecord``, ``latency``) and where it ends."""
        word = self.source.read(offset, 10)
        offset += 10
        if word.startswith(b"options"):
            while True:
                option = self.fields(offset, 2).number(2, "an option")
                offset += 2
                if option == Option.DONE:
                    break
                size = self.fields(offset, 4).number(4, "an option")
                if size > MAX_SECTION:
                    raise Damage(offset, f"an option of {size} bytes")
                self.options.append((option, self.fields(offset + 4, size).take(size, "an option"), offset + 4))
                offset += 4 + size
            word = self.source.read(offset, 10)
            offset += 10
        if not word.startswith((b"flyrecord", b"latency")):
            raise Damage(offset - 10, "neither trace data nor a latency trace")
        return word, offset

    def _read_cpus_v6(self, buffer: Buffer, offset: int, n_cpus: int) -> None:
        try:
            for cpu in range(n_cpus):
                fields = self.fields(offset + 16 * cpu, 16)
                start, size = fields.number(8, "a CPU's offset"), fields.number(8, "a CPU's size")
                self._add_cpu(buffer, cpu, start, size, compressed=False)
        except Damage as damage:
            self._miss("cut-file", damage.what, damage.offset)

    def _miss(self, code: str, text: str, offset: int) -> None:
        """One thing that is damaged or missing; the first of a kind keeps its words."""
        for i, notice in enumerate(self.notices):
            if notice.code == code:
                self.notices[i] = Notice(code, notice.text, notice.n + 1, notice.hint, notice.details)
                return
        self.notices.append(Notice(code, f"{text} (at byte {offset})", details={"offset": offset}))


def _plain_chunks(start: int, size: int, page_size: int) -> tuple[Chunk, ...]:
    """Uncompressed data in pieces of about a MiB, whole pages each."""
    piece = max(page_size, (1 << 20) // page_size * page_size)
    return tuple(
        Chunk(start + at, min(piece, size - at), min(piece, size - at), False) for at in range(0, size, piece)
    )
