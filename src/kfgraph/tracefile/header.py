"""The head of a trace.dat, and parts of the file as fields in its byte order.

Source: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5), and trace-input.c of libtracecmd where they are silent.
"""

from __future__ import annotations

from dataclasses import dataclass

from kfgraph.errors import InputError
from kfgraph.model.units import format_bytes
from kfgraph.tracefile.codec import Codec
from kfgraph.tracefile.layout import MAGIC, MAX_PAGE
from kfgraph.tracefile.source import Damage, Fields, Source, most_stored


@dataclass(frozen=True, eq=False, repr=False)
class Header:
    """What the head says of the file, which is open in ``source``; ``name`` is what messages call it.

    ``after`` is where the head ends, ``options_at`` where the options begin (version 7).
    """

    name: str
    source: Source
    version: int
    big_endian: bool
    long_size: int
    page_size: int
    codec: Codec
    options_at: int
    after: int

    def fields(self, offset: int, size: int) -> Fields:
        """``size`` bytes of the file at ``offset``, to be read as fields."""
        return Fields(self.source.read(offset, size), base=offset, big_endian=self.big_endian)

    def fields_of(self, data: bytes, offset: int) -> Fields:
        """Bytes that came from ``offset`` by decompression, to be read as fields."""
        return Fields(data, base=offset, big_endian=self.big_endian, fixed_base=True)

    def expand(self, offset: int, limit: int) -> bytes:
        """The content of a compressed block.

        Raises:
            Damage: its size is beyond ``limit``, or it is not what it says.
        """
        head = self.fields(offset, 8)
        stored, size = head.number(4, "a compressed block"), head.number(4, "a compressed block")
        if stored > most_stored(limit):
            raise Damage(offset, f"a compressed block of {format_bytes(stored)}, more than any trace has")
        data = self.source.read(offset + 8, stored)
        if len(data) < stored:
            raise Damage(offset, f"a compressed block of {format_bytes(stored)} runs past the end of the file")
        return self.codec.expand(data, size, offset, limit=limit)


def read_header(source: Source, name: str) -> Header:
    """The head of the file.

    Raises:
        InputError: it is no trace.dat of a known version.
        Damage: the head is damaged.
    """
    head = Fields(source.read(0, 4096), base=0, big_endian=False)
    if not head.left():
        raise InputError(f"{name} is empty", "was the recording interrupted before it wrote anything?")
    if head.data[: len(MAGIC)] != MAGIC:
        raise InputError(f"{name} is not a trace.dat file (at byte 0)", "it does not begin like a trace.dat")
    head.pos = len(MAGIC)
    at = head.pos
    version = head.string("the file version")
    if version not in ("6", "7"):
        what = f"trace.dat version {version[:20]!r} is unknown (at byte {at})"
        raise InputError(f"{name}: {what}", "kfgraph reads versions 6 and 7")
    order = head.number(1, "the byte order")
    long_size = head.number(1, "the size of a long")
    if order > 1 or long_size not in (4, 8):
        raise Damage(head.offset, "neither a known byte order nor a known size of long")
    head = Fields(head.data, base=0, big_endian=bool(order))
    head.pos = len(MAGIC) + len(version) + 3
    page_size = checked_page_size(head.number(4, "the page size"), head.offset)
    codec, options_at = Codec("none", 0), 0
    if version == "7":
        at = head.offset
        codec = Codec(head.string("the compression's name"), at)
        head.string("the compression's version")
        options_at = head.number(8, "the offset of the options")
    return Header(name, source, int(version), bool(order), long_size, page_size, codec, options_at, head.pos)


def checked_page_size(size: int, offset: int) -> int:
    """``size``, if pages can be of that.

    Raises:
        Damage: they cannot.
    """
    if not 64 <= size <= MAX_PAGE or size & (size - 1):
        raise Damage(offset, f"a page size of {format_bytes(size)}")
    return size
