"""What a trace.dat of version 6 or 7 holds: its sections, options and buffers. The data itself is not read here.

Imports no numpy: the chunks of a file are on their way before that is imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from kfgraph.errors import InputError, NoMatchError, Notice
from kfgraph.model.units import format_bytes
from kfgraph.tracefile.damage import Notes
from kfgraph.tracefile.header import Header, read_header
from kfgraph.tracefile.layout import COMPRESSED, LIMITS, Buffer, Option
from kfgraph.tracefile.option_section import Options, Place
from kfgraph.tracefile.recover import restore_hint
from kfgraph.tracefile.source import Damage, Fields, Source
from kfgraph.tracefile.version6 import read_version_6
from kfgraph.tracefile.version7 import read_version_7


@dataclass(frozen=True, eq=False, repr=False)
class Contents:
    """What a trace.dat holds. Its file is open until it is closed or nobody has it any more.

    ``places`` says where each section is; they are read when asked for. ``notices`` are what was damaged or missing
    and passed over.
    """

    header: Header
    options: Options
    places: dict[Option, Place] = field(default_factory=dict)
    buffers: list[Buffer] = field(default_factory=list)
    notices: tuple[Notice, ...] = ()

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.header.name

    @property
    def source(self) -> Source:
        """The file."""
        return self.header.source

    @property
    def big_endian(self) -> bool:
        """The byte order of the file and of the kernel that was traced."""
        return self.header.big_endian

    def close(self) -> None:
        """Close the file, and those that were found beside it."""
        self.source.close()
        for buffer in self.buffers:
            for data in buffer.cpus:
                data.source.close()

    def sections_alone(self) -> Contents:
        """The same file without its options and buffers, for what is read later."""
        return replace(self, options=Options(self.header), buffers=[])

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
            why = missed or f"no buffer is listed (at byte {self.header.options_at})"
            hint = restore_hint(self.source.path) or "it was cut, or its recorder was killed: record again"
            raise InputError(f"{self.name} holds no trace data: {why}", hint)
        if wanted is None:
            wanted = self.buffers[0]
        if wanted.is_text:
            raise InputError(
                f"{self.name} is a latency trace, which has no events to read", "record without a latency tracer"
            )
        return wanted

    def section(self, option: Option) -> Fields | None:
        """The content of a section, None where the file has none.

        Raises:
            Damage: its size or its compression is wrong.
        """
        place = self.places.get(option)
        if place is None:
            return None
        offset, has_header, size, compressed = place
        header = self.header
        if has_header:
            head = header.fields(offset, 16)
            found, flags = head.number(2, "a section header"), head.number(2, "a section header")
            if found != option:
                raise Damage(offset, f"section {option.name} is not where the options say")
            compressed = bool(flags & COMPRESSED)
            head.number(4, "a section header")
            size = head.number(8, "a section header")
            offset += 16
        limit = LIMITS[option]
        if compressed:
            return header.fields_of(header.expand(offset, limit), offset)
        if size > limit:
            raise Damage(offset, f"section {option.name} of {format_bytes(size)}, more than any trace has")
        return header.fields(offset, size)


def read_contents(path: str | os.PathLike[str], *, name: str = "") -> Contents:
    """What the file holds; ``name`` is what messages call it, its path by default.

    Raises:
        InputError: it cannot be opened, or is damaged beyond reading.
    """
    name = name or os.fspath(path)
    try:
        source = Source(path)
    except OSError as error:
        raise InputError(f"{name}: cannot be opened: {error.strerror}") from None
    notes = Notes()
    try:
        header = read_header(source, name)
        parts = (read_version_7 if header.version >= 7 else read_version_6)(header, notes)
    except Damage as damage:
        source.close()
        raise damage.as_error(name, hint=restore_hint(source.path)) from None
    return Contents(header, parts.options, parts.places, parts.buffers, notes.all())
