"""The container: header, options, sections and buffers of trace.dat v6 and v7.

Source: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5), and trace-input.c of libtracecmd where they are silent.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from kfgraph.errors import InputError, NoMatchError, Notice
from kfgraph.parse.tracedat.layout import (
    COMPRESSED,
    MAGIC,
    MAX_CPUS,
    MAX_PAGE,
    SECTIONS,
    Buffer,
    Chunk,
    CpuData,
    Option,
)
from kfgraph.parse.tracedat.source import MAX_CHUNK, MAX_SECTION, Codec, Damage, Fields, Source, whole
from kfgraph.parse.tracedat.version6 import read_version_6


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
        self._claimed = 0
        self.places: dict[int, tuple[int, bool, int, bool]] = {}
        try:
            self._read_header()
            if self.version >= 7:
                self._read_v7()
            else:
                read_version_6(self)
        except Damage as damage:
            self.source.close()
            raise damage.as_error(self.name) from None

    def close(self) -> None:
        """Close the file, and those that were found beside it."""
        self.source.close()
        for buffer in self.buffers:
            for data in buffer.cpus:
                data.source.close()

    def buffer_named(self, name: str | None) -> Buffer:
        """One of the trace buffers: the main one for None and "", the first where there is no main one.

        Raises:
            NoMatchError: none has this name.
            InputError: there is none, or it holds a latency tracer's text.
        """
        known = ", ".join(repr(b.name) if b.name else "the main one" for b in self.buffers)
        wanted = next((b for b in self.buffers if b.name == (name or "")), None)
        if wanted is None and name:
            raise NoMatchError(f"{self.name} has no buffer {name!r}", f"it has: {known or 'none'}")
        if wanted is None and not self.buffers:
            raise InputError(
                f"{self.name} holds no trace data", "it was cut, or its recorder was killed: record again"
            )
        if wanted is None:
            wanted = self.buffers[0]
        if wanted.is_text:
            raise InputError(
                f"{self.name} is a latency trace, which has no events to read", "record without a latency tracer"
            )
        return wanted

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
        place = self.places.get(option)
        if place is None:
            return None
        offset, has_header, size, compressed = place
        if has_header:
            head = self.fields(offset, 16)
            found, flags = head.number(2, "a section header"), head.number(2, "a section header")
            if found != option:
                raise Damage(offset, f"section {option.name} is not where the options say")
            compressed = bool(flags & COMPRESSED)
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
        self.after_header = head.pos

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
            self.miss("options", damage.what, damage.offset)
        if not reached_end:
            self._find_sections()
        for option, data, at in self.options:
            if option in SECTIONS and option not in self.places and len(data) >= 8:
                place = self.fields_of(data, at).number(8, "an option")
                self.places[option] = (place, True, 0, False)
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
        if flags & COMPRESSED:
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
        offset = self.after_header
        while offset + 16 <= self.source.size:
            head = self.fields(offset, 16)
            option, flags = head.number(2, "a section header"), head.number(2, "a section header")
            head.number(4, "a section header")
            size = head.number(8, "a section header")
            if option in SECTIONS and option not in self.places:
                self.places[option] = (offset + 16, False, size, bool(flags & COMPRESSED))
            elif option == Option.DONE and not self.options:
                try:
                    self._read_options_section(offset)
                except Damage as damage:
                    self.miss("options", damage.what, damage.offset)
            elif option == Option.BUFFER:
                self._lost_buffer_at = (offset + 16, bool(flags & COMPRESSED))
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
                self.miss("buffer", damage.what, damage.offset)
        if not self.buffers and not complete:
            self._recover_buffer()

    def _read_buffer_option(self, fields: Fields) -> None:
        offset = fields.number(8, "a buffer option")
        name, clock = fields.string("a buffer's name"), fields.string("a buffer's clock")
        at = fields.offset
        buffer = Buffer(name, clock, self._checked_page_size(fields.number(4, "a buffer option"), at))
        head = self.fields(offset, 16)
        head.number(2, "a buffer section")
        compressed = bool(head.number(2, "a buffer section") & COMPRESSED)
        # Appended before its CPUs: what is read before a damage counts.
        self.buffers.append(buffer)
        for _ in range(min(fields.number(4, "a buffer option"), MAX_CPUS)):
            cpu = fields.number(4, "a buffer's CPU")
            start, size = fields.number(8, "a buffer's CPU"), fields.number(8, "a buffer's CPU")
            if cpu >= MAX_CPUS:
                raise Damage(fields.offset, f"CPU {cpu}")
            self.add_cpu(buffer, cpu, start, size, compressed=compressed)

    def add_cpu(self, buffer: Buffer, cpu: int, start: int, size: int, *, compressed: bool) -> None:
        """Take [start, start + size) of the file, as far as it is there, for a CPU's data."""
        if cpu in buffer.numbers:
            self.miss("cpu", f"CPU {cpu} is listed twice", start)
            return
        buffer.numbers.add(cpu)
        if start > self.source.size or size > self.source.size - start:
            kept = max(0, self.source.size - start)
            self.miss(
                "cut-file", f"the file ends before the data of CPU {cpu} does ({size - kept} bytes missing)", start
            )
            size = kept
        if not size:
            return
        if compressed:
            # trace-cmd 3.1 leaves the count out of the size, 3.4 does not: the chunks tell where they end.
            chunks, end = self._chunks(start, self.source.size, cpu, buffer.page_size)
        else:
            chunks, end = _plain_chunks(start, size, buffer.page_size), start + size
        # No two CPUs share data: a list that says so could make a small file as large as it likes.
        self._claimed += end - start
        if self._claimed > self.source.size:
            self.miss("cpu", f"the data of CPU {cpu} is another CPU's too", start)
            return
        buffer.cpus.append(CpuData(cpu, chunks, self.source))

    def _chunks(self, start: int, end: int, cpu: int, page_size: int) -> tuple[tuple[Chunk, ...], int]:
        """The chunks of one CPU's compressed data in [start, end), and where they end."""
        chunks: list[Chunk] = []
        try:
            n_chunks = self.fields(start, 4).number(4, "the number of chunks")
        except Damage as damage:
            self.miss("cut-file", damage.what, damage.offset)
            return (), start
        offset = start + 4
        sizes = struct.Struct(">II" if self.big_endian else "<II")
        for n_read in range(n_chunks):
            head = self.source.read(offset, sizes.size)
            if offset + 8 > end or len(head) < sizes.size:
                self.miss("cut-file", f"{n_chunks - n_read} chunks of CPU {cpu} are missing", offset)
                break
            stored, size = sizes.unpack(head)
            if stored > end - offset - 8:
                self.miss("cut-file", f"{n_chunks - n_read} chunks of CPU {cpu} are missing", offset)
                break
            if size > min(MAX_CHUNK, 16 * page_size) or not stored:
                self.miss("damaged-chunk", f"a chunk of CPU {cpu} says it holds {size} bytes", offset)
                break
            chunks.append(Chunk(offset + 8, stored, size, True))
            offset += 8 + stored
        return tuple(chunks), offset

    def _recover_buffer(self) -> None:
        """A file without its list of buffers: the data itself says where each CPU's begins."""
        found = self.leftovers()
        if found:
            self.add_leftovers(found)
            return
        if self._lost_buffer_at is None:
            return
        offset, compressed = self._lost_buffer_at
        if not compressed:
            raise Damage(offset, "the list of the CPUs' data at the end is missing: cut, or still being written")
        buffer = Buffer("", self.clock, self.page_size)
        self.buffers.append(buffer)
        offset = -(-offset // self.page_size) * self.page_size
        while offset + 4 < self.source.size and len(buffer.cpus) < MAX_CPUS:
            chunks, end = self._chunks(offset, self.source.size, len(buffer.cpus), self.page_size)
            if not chunks:
                break
            buffer.cpus.append(CpuData(len(buffer.cpus), chunks, self.source))
            offset = -(-end // self.page_size) * self.page_size
        if buffer.cpus:
            self.miss(
                "cut-file",
                f"the list of CPUs at the end of the file is missing; what stands before it was taken for CPUs "
                f"0 to {len(buffer.cpus) - 1} of the main buffer",
                self.source.size,
            )

    def leftovers(self) -> list[tuple[int, str]]:
        """(cpu, path) of the per-CPU files that a killed trace-cmd leaves beside its output."""
        found = []
        own = Path(self.source.path)
        try:
            beside = list(own.parent.iterdir())
        except OSError:
            return []
        for path in beside:
            cpu = whole(path.name.removeprefix(f"{own.name}.cpu"))
            if 0 <= cpu < MAX_CPUS and path.name == f"{own.name}.cpu{cpu}":
                found.append((cpu, str(path)))
        return sorted(found)

    def add_leftovers(self, leftovers: list[tuple[int, str]]) -> None:
        """The main buffer from per-CPU files, which are pages and nothing else."""
        buffer = Buffer("", self.clock or "local", self.page_size)
        self.buffers.append(buffer)
        for cpu, path in leftovers:
            try:
                # Not a pipe: opening one waits for who writes to it.
                if not Path(path).is_file():
                    raise OSError(errno.EINVAL, "no regular file")
                source = Source(path)
            except OSError as error:
                self.miss("leftover-unread", f"{path} cannot be read: {error.strerror}", self.source.size)
                continue
            if source.size:
                buffer.cpus.append(CpuData(cpu, _plain_chunks(0, source.size, self.page_size), source))
            else:
                source.close()
        self.miss(
            "leftover-files",
            f"the recorder did not finish this file: its data is from the {len(leftovers)} per-CPU files beside it",
            self.source.size,
        )

    def miss(self, code: str, text: str, offset: int) -> None:
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
