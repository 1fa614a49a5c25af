"""The container: header, options, sections and buffers of trace.dat v6 and v7.

Source: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5), and trace-input.c of libtracecmd where they are silent.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from copy import copy

from kfgraph.errors import InputError, NoMatchError, Notice
from kfgraph.tracefile.codec import Codec
from kfgraph.tracefile.layout import (
    COMPRESSED,
    LIMITS,
    MAGIC,
    MAX_CHUNK,
    MAX_CPUS,
    MAX_OPTIONS,
    MAX_PAGE,
    SECTIONS,
    Buffer,
    Chunk,
    CpuData,
    Option,
    plain_chunks,
)
from kfgraph.tracefile.notes import Notes
from kfgraph.tracefile.recover import find_sections, recover_buffers, restore_hint
from kfgraph.tracefile.source import Damage, Fields, Source, most_stored
from kfgraph.tracefile.version6 import read_version_6

_USED = frozenset(int(option) for option in Option)
_OPTION_COST, _UNUSED_COST = 128, 64
"""What an option takes beside its data, in bytes or in time."""
_MOST_OPTION_SECTIONS = 256
_CHUNK_AT_LEAST = 128
"""Bytes stored of a chunk in the mean, but for the first few thousand: 10 pages with a record each take more."""
_MOST_EXPANDED, _MOST_RATIO = 1 << 30, 256
"""Bytes of all chunks together: so much, and so many times the file (pages hardly used come down to a hundredth)."""
_MAX_TEXT = 4096


class Claims:
    """The parts of a file that are taken: no two CPUs share data, or a small file could be as long as it likes."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def room(self, start: int, end: int) -> int:
        """How much of [start, end) is free, from its beginning on."""
        at = bisect_right(self._starts, start)
        if at and self._ends[at - 1] > start:
            return 0
        return min(end, self._starts[at]) - start if at < len(self._starts) else end - start

    def take(self, start: int, end: int) -> bool:
        """Take [start, end), unless part of it is taken."""
        if start >= end or self.room(start, end) < end - start:
            return start >= end
        at = bisect_right(self._starts, start)
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        return True


class Container:
    """What a trace.dat holds, its sections read when asked for.

    ``options`` are (id, data, offset) in file order, those that mean nothing here left out. ``notes``
    gathers what was damaged or missing and passed over.

    Raises:
        InputError: it cannot be opened, or is damaged beyond reading.
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str = "") -> None:
        self.name = name or os.fspath(path)
        try:
            self.source = Source(path)
        except OSError as error:
            raise InputError(f"{self.name}: cannot be opened: {error.strerror}") from None
        self.notes = Notes()
        self.options: list[tuple[int, bytes, int]] = []
        self.buffers: list[Buffer] = []
        self.claims = Claims()
        self._options_cost = 0
        self._n_chunks = self._n_expanded = 0
        self.places: dict[int, tuple[int, bool, int, bool]] = {}
        try:
            self._read_header()
            if self.version >= 7:
                self._read_v7()
            else:
                read_version_6(self)
        except Damage as damage:
            self.source.close()
            raise damage.as_error(self.name, hint=restore_hint(self.source.path)) from None

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was damaged or missing and passed over."""
        return self.notes.all()

    def close(self) -> None:
        """Close the file, and those that were found beside it."""
        self.source.close()
        for buffer in self.buffers:
            for data in buffer.cpus:
                data.source.close()

    def sections_alone(self) -> Container:
        """The same file without its options and buffers, for what is read later."""
        other = copy(self)
        other.options, other.buffers, other.claims = [], [], Claims()
        return other

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
            missed = "; ".join(notice.text for notice in self.notices)
            why = missed or f"no buffer is listed (at byte {self._options_at})"
            hint = restore_hint(self.source.path) or "it was cut, or its recorder was killed: record again"
            raise InputError(f"{self.name} holds no trace data: {why}", hint)
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
        limit = LIMITS[option]
        if compressed:
            return self.fields_of(self._expand(offset, limit), offset)
        if size > limit:
            raise Damage(offset, f"section {option.name} of {size} bytes, more than any trace has")
        return self.fields(offset, size)

    def _expand(self, offset: int, limit: int) -> bytes:
        head = self.fields(offset, 8)
        stored, size = head.number(4, "a compressed block"), head.number(4, "a compressed block")
        if stored > most_stored(limit):
            raise Damage(offset, f"a compressed block of {stored} bytes, more than any trace has")
        data = self.source.read(offset + 8, stored)
        if len(data) < stored:
            raise Damage(offset, f"a compressed block of {stored} bytes runs past the end of the file")
        return self.codec.expand(data, size, offset, limit=limit)

    def first_option(self, option: Option) -> Fields | None:
        """The first option of this kind."""
        return next(iter(self.all_options(option)), None)

    def all_options(self, option: Option) -> list[Fields]:
        """Every option of this kind, in file order."""
        return [self.fields_of(data, offset) for found, data, offset in self.options if found == option]

    def text_option(self, option: Option) -> str:
        """An option that is text, "" where it is missing."""
        fields = self.first_option(option)
        return "" if fields is None else fields.data[:_MAX_TEXT].partition(b"\0")[0].decode("utf-8", "replace").strip()

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
            raise InputError(f"{path} is not a trace.dat file (at byte 0)", "its first bytes are not trace-cmd's")
        head.pos = len(MAGIC)
        at = head.pos
        version = head.string("the file version")
        if version not in ("6", "7"):
            what = f"trace.dat version {version[:20]!r} is unknown (at byte {at})"
            raise InputError(f"{path}: {what}", "kfgraph reads versions 6 and 7")
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
            while offset and offset not in visited and len(visited) < _MOST_OPTION_SECTIONS:
                visited.add(offset)
                offset = self.read_options_section(offset)
                reached_end = not offset
        except Damage as damage:
            self.notes.damage("options", damage)
        lost_buffer = None if reached_end else find_sections(self)
        for option, data, at in self.options:
            if option in SECTIONS and len(data) >= 8:
                place = self.fields_of(data, at).number(8, "an option")
                self.places.setdefault(option, (place, True, 0, False))
        self._read_buffers_v7()
        if not self.buffers and not reached_end:
            recover_buffers(self, lost_buffer)

    def read_options_section(self, offset: int) -> int:
        """Read one options section; the offset of the next, 0 if it is the last.

        Raises:
            Damage: it is none, breaks off, or all options together are more than any trace has.
        """
        head = self.fields(offset, 16)
        if head.number(2, "a section header") != Option.DONE:
            raise Damage(offset, "no options section where one should be")
        flags = head.number(2, "a section header")
        head.number(4, "a section header")
        size = head.number(8, "a section header")
        body = offset + 16
        if flags & COMPRESSED:
            fields = self.fields_of(self._expand(body, MAX_OPTIONS), body)
        else:
            fields = self.fields(body, min(size, MAX_OPTIONS))
        while True:
            at = fields.offset
            option = fields.number(2, "an option")
            data = fields.take(fields.number(4, "an option"), "an option")
            if option == Option.DONE:
                return self.fields_of(data, at).number(8, "the offset of the next options")
            self.add_option(option, data, at)

    def add_option(self, option: int, data: bytes, at: int) -> None:
        """One more option, if anything here means something by it.

        Raises:
            Damage: all together are more than any trace has.
        """
        self._options_cost += len(data) + _OPTION_COST if option in _USED else _UNUSED_COST
        if self._options_cost > MAX_OPTIONS:
            raise Damage(at, f"more than {MAX_OPTIONS} bytes of options")
        if option in _USED:
            self.options.append((option, data, at))

    def _read_buffers_v7(self) -> None:
        for option, data, at in self.options:
            try:
                if option == Option.BUFFER:
                    self._read_buffer_option(self.fields_of(data, at))
                elif option == Option.BUFFER_TEXT:
                    fields = self.fields_of(data, at)
                    fields.number(8, "a buffer option")
                    self.buffers.append(Buffer(fields.string("a buffer's name"), "", self.page_size, is_text=True))
            except Damage as damage:
                self.notes.damage("buffer", damage)

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
            self.miss("cut-file", f"{size - kept} bytes of the data of CPU {cpu} are missing", start)
            size = kept
        if not size:
            return
        room = self.claims.room(start, self.source.size)
        if compressed and room:
            # trace-cmd 3.1 leaves the count out of the size, 3.4 does not: the chunks tell where they end.
            chunks, end = self.chunks(start, start + room, cpu, buffer.page_size)
        else:
            chunks, end = plain_chunks(start, size, buffer.page_size), start + size
        if not room or not self.claims.take(start, end):
            self.miss("cpu", f"the data of CPU {cpu} is another's too", start)
            return
        buffer.cpus.append(CpuData(cpu, chunks, self.source))

    def chunks(self, start: int, end: int, cpu: int, page_size: int) -> tuple[tuple[Chunk, ...], int]:
        """The chunks of one CPU's compressed data in [start, end), and where they end."""
        chunks: list[Chunk] = []
        try:
            n_chunks = self.fields(start, 4).number(4, "the number of chunks")
        except Damage as damage:
            self.notes.damage("cut-file", damage)
            return (), start
        sizes = struct.Struct(">II" if self.big_endian else "<II")
        offset = start + 4
        most = (1 << 12) + self.source.size // _CHUNK_AT_LEAST
        most_expanded = _MOST_EXPANDED + _MOST_RATIO * self.source.size
        for n_read in range(n_chunks):
            head = self.source.read(offset, sizes.size)
            stored, size = sizes.unpack(head) if len(head) == sizes.size else (end, 0)
            if stored > end - offset - sizes.size:
                self.miss("cut-file", f"{n_chunks - n_read} of {n_chunks} chunks of CPU {cpu} are missing", offset)
                break
            self._n_chunks += 1
            self._n_expanded += size
            is_too_much = self._n_chunks > most or self._n_expanded > most_expanded
            if is_too_much or size > min(MAX_CHUNK, 16 * page_size) or not 0 < stored <= most_stored(size):
                what = f"a chunk of CPU {cpu} says that it holds {size} bytes in {stored}"
                self.miss("damaged-chunk", what, offset)
                break
            chunks.append(Chunk(offset + 8, stored, size, True))
            offset += 8 + stored
        return tuple(chunks), offset

    def miss(self, code: str, what: str, offset: int) -> None:
        """One thing that is damaged or missing."""
        self.notes.add(code, what, offset=offset)
