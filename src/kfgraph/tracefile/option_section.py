"""The options of a trace.dat, and where its sections are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kfgraph.tracefile.header import Header
from kfgraph.tracefile.layout import COMPRESSED, MAX_OPTIONS, Buffer, Option
from kfgraph.tracefile.source import Damage, Fields

_USED = frozenset(int(option) for option in Option)
_OPTION_COST, _UNUSED_COST = 128, 64
"""What an option takes beside its data, in bytes or in time."""
_MAX_TEXT = 4096


class Place(NamedTuple):
    """Where a section is. With a header (version 7), ``size`` and ``compressed`` stand in that."""

    offset: int
    has_header: bool = False
    size: int = 0
    compressed: bool = False

    @property
    def end(self) -> int:
        """The first byte behind it, of one without a header."""
        return self.offset + self.size


class Options:
    """``items`` are (id, data, offset) in file order, those that mean nothing here left out."""

    def __init__(self, header: Header) -> None:
        self.items: list[tuple[int, bytes, int]] = []
        self._header = header
        self._cost = 0

    def add(self, option: int, data: bytes, at: int) -> None:
        """One more option, if anything here means something by it.

        Raises:
            Damage: all together are more than any trace has.
        """
        self._cost += len(data) + _OPTION_COST if option in _USED else _UNUSED_COST
        if self._cost > MAX_OPTIONS:
            raise Damage(at, f"more than {MAX_OPTIONS} bytes of options")
        if option in _USED:
            self.items.append((option, data, at))

    def add_section(self, offset: int) -> int:
        """Add those of an options section (version 7); the offset of the next, 0 if it is the last.

        Raises:
            Damage: it is none, breaks off, or all options together are more than any trace has.
        """
        header = self._header
        head = header.fields(offset, 16)
        if head.number(2, "a section header") != Option.DONE:
            raise Damage(offset, "no options section where one should be")
        flags = head.number(2, "a section header")
        head.number(4, "a section header")
        size = head.number(8, "a section header")
        body = offset + 16
        if flags & COMPRESSED:
            fields = header.fields_of(header.expand(body, MAX_OPTIONS), body)
        else:
            fields = header.fields(body, min(size, MAX_OPTIONS))
        while True:
            at = fields.offset
            option = fields.number(2, "an option")
            data = fields.take(fields.number(4, "an option"), "an option")
            if option == Option.DONE:
                return header.fields_of(data, at).number(8, "the offset of the next options")
            self.add(option, data, at)

    def first(self, option: Option) -> Fields | None:
        """The first option of this kind."""
        return next(iter(self.all(option)), None)

    def all(self, option: Option) -> list[Fields]:
        """Every option of this kind, in file order."""
        return [self._header.fields_of(data, offset) for found, data, offset in self.items if found == option]

    def text(self, option: Option) -> str:
        """An option that is text, "" where it is missing."""
        fields = self.first(option)
        return "" if fields is None else fields.data[:_MAX_TEXT].partition(b"\0")[0].decode("utf-8", "replace").strip()

    @property
    def clock(self) -> str:
        """The main buffer's trace clock: the bracketed word of the TRACECLOCK option."""
        words = self.text(Option.TRACECLOCK).split()
        return next((word[1:-1] for word in words if word.startswith("[") and word.endswith("]")), "")


@dataclass(frozen=True)
class Parts:
    """What the reader of a version returns."""

    options: Options
    places: dict[Option, Place] = field(default_factory=dict)
    buffers: list[Buffer] = field(default_factory=list)
