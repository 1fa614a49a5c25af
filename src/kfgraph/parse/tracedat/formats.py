"""Event formats and the ring-buffer page's header, parsed from the text blocks in the file.

Source: the tracefs files events/*/*/format and events/header_page, which trace-cmd copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kfgraph.parse.tracedat.source import Damage, Fields

_FIELD = re.compile(r"field:([^;]*);\s*offset:(\d+);\s*size:(\d+);(?:\s*signed:(\d+);)?")
_MAX_FORMATS = 1 << 16


@dataclass(frozen=True)
class Field:
    """One field of an event: ``type`` is its C type without the name and the brackets."""

    name: str
    type: str
    offset: int
    size: int
    signed: bool
    is_array: bool
    is_dynamic: bool
    """The field holds a place in the record (``__data_loc``, ``__rel_loc``), its data stands there."""

    @property
    def is_string(self) -> bool:
        """An array of characters."""
        return (self.is_array or self.is_dynamic) and bool(re.search(r"\bchar\b", self.type))


@dataclass(frozen=True)
class EventFormat:
    """The layout of one event. ``fields`` are its own, ``common`` those that every event has."""

    id: int
    system: str
    name: str
    fields: dict[str, Field]
    common: dict[str, Field]


@dataclass(frozen=True)
class PageLayout:
    """The header of a ring-buffer page: the timestamp is 8 bytes at 0, ``commit`` a long at 8."""

    commit_size: int

    @property
    def data_offset(self) -> int:
        """Where the events begin."""
        return 8 + self.commit_size


@dataclass
class Formats:
    """All event formats of a file by id. ``n_damaged`` blocks could not be read."""

    events: dict[int, EventFormat] = field(default_factory=dict)
    n_damaged: int = 0

    def named(self, name: str, *, system: str = "ftrace") -> EventFormat | None:
        """The event of this name, None where the file does not describe it."""
        return next((e for e in self.events.values() if e.name == name and e.system == system), None)


def parse_fields(text: str) -> Iterator[Field]:
    """The ``field:`` lines of a format block."""
    for declaration, offset, size, signed in _FIELD.findall(text):
        words = declaration.strip()
        is_array = "[" in words
        is_dynamic = words.startswith(("__data_loc", "__rel_loc"))
        if is_dynamic:
            # "__data_loc char[] name": the brackets belong to the type.
            ctype, _, name = words.rpartition(" ")
        else:
            ctype, _, name = words.partition("[")[0].rstrip().rpartition(" ")
        yield Field(name.lstrip("*"), ctype, int(offset), int(size), signed == "1", is_array, is_dynamic)


def parse_event(system: str, text: str) -> EventFormat | None:
    """One format block; None if it has no name or no id."""
    head, _, _ = text.partition("print fmt:")
    name = re.search(r"^name:\s*(\S+)", head, re.MULTILINE)
    number = re.search(r"^ID:\s*(\d+)", head, re.MULTILINE)
    if name is None or number is None or int(number[1]) > 0xFFFF:
        return None
    fields: dict[str, Field] = {}
    common: dict[str, Field] = {}
    for each in parse_fields(head):
        (common if each.name.startswith("common_") else fields)[each.name] = each
    return EventFormat(int(number[1]), system, name[1], fields, common)


def parse_page_layout(section: Fields | None, long_size: int) -> PageLayout:
    """The page header; as the file header's size of long has it where the block is missing.

    The kernel's size of long may differ from the file's, which is user space's.
    """
    if section is None:
        return PageLayout(long_size)
    section.take(12, "header_page")
    text = section.take(section.number(8, "header_page"), "header_page").decode("utf-8", "replace")
    fields = {each.name: each for each in parse_fields(text)}
    commit, stamp = fields.get("commit"), fields.get("timestamp")
    if commit is None or commit.size not in (4, 8) or commit.offset != 8:
        raise Damage(section.offset, "the page header's `commit` is not a long at 8")
    if stamp is None or (stamp.offset, stamp.size) != (0, 8):
        raise Damage(section.offset, "the page header's `timestamp` is not 8 bytes at 0")
    return PageLayout(commit.size)


def read_formats(ftrace: Fields | None, events: Fields | None, *, wanted: set[int] | None = None) -> Formats:
    """The formats of both sections.

    ``wanted``: only these ids of the second section are parsed (it has thousands, a trace holds few).
    A section that breaks off keeps what stands before.
    """
    formats = Formats()
    if ftrace is not None:
        _read_blocks(ftrace, formats, _systems_of_ftrace, None)
    if events is not None and (wanted is None or wanted):
        _read_blocks(events, formats, _systems_of_events, wanted)
    return formats


def _systems_of_ftrace(section: Fields) -> Iterator[tuple[str, int]]:
    yield "ftrace", section.number(4, "the number of events")


def _systems_of_events(section: Fields) -> Iterator[tuple[str, int]]:
    for _ in range(section.number(4, "the number of event systems")):
        yield section.string("an event system's name"), section.number(4, "the number of events")


def _read_blocks(section: Fields, formats: Formats, systems, wanted: set[int] | None) -> None:  # type: ignore[no-untyped-def]
    try:
        for system, count in systems(section):
            for _ in range(count):
                block = section.take(section.number(8, "an event format"), "an event format")
                if len(formats.events) > _MAX_FORMATS:
                    return
                _add(block, system, formats, wanted)
    except Damage:
        formats.n_damaged += 1


_ID = re.compile(rb"^ID:\s*(\d+)", re.MULTILINE)


def _add(block: bytes, system: str, formats: Formats, wanted: set[int] | None) -> None:
    number = _ID.search(block)
    if number is not None and wanted is not None and int(number[1][:6]) not in wanted:
        return
    event = parse_event(system, block.decode("utf-8", "replace"))
    if event is None or event.id in formats.events:
        formats.n_damaged += 1
    else:
        formats.events[event.id] = event
