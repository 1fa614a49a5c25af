"""Event formats and the ring-buffer page's header, parsed from the text blocks in the file.

Source: the tracefs files events/*/*/format and events/header_page, which trace-cmd copies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from kfgraph.tracefile.layout import MAX_FORMATS
from kfgraph.tracefile.source import Damage, Fields, whole

_MAX_BLOCK = 1 << 20
"""A format block is a page or two; one that is larger than this is none."""
_MAX_FIELDS = 1 << 10
"""Of one event; those behind are left out (the longest known have about sixty)."""
_MAX_DECLARATION = 512
_MOST_FIELDS = 1 << 16
"""Of all events together that are asked for: a kernel's two thousand have half as many."""


class Field(NamedTuple):
    """One field of an event: ``type`` is its C type without the name and the brackets."""

    name: str
    type: str
    offset: int
    size: int
    signed: bool
    is_array: bool
    is_dynamic: bool
    """The field holds a place in the record (``__data_loc``, ``__rel_loc``), its data stands there."""
    length: int = 0
    """Of an array, as its brackets have it in digits; 0 where they do not."""

    @property
    def is_string(self) -> bool:
        """An array of characters."""
        return (self.is_array or self.is_dynamic) and bool(re.search(r"\bchar\b", self.type))


class EventFormat(NamedTuple):
    """The layout of one event. ``fields`` are its own, ``common`` those that every event has; ``offset`` is
    where in the file the block stands that tells it."""

    id: int
    system: str
    name: str
    fields: dict[str, Field]
    common: dict[str, Field]
    offset: int = 0


class PageLayout(NamedTuple):
    """The header of a ring-buffer page: the timestamp is 8 bytes at 0, ``commit`` a long at 8."""

    commit_size: int

    @property
    def data_offset(self) -> int:
        """Where the events begin."""
        return 8 + self.commit_size


@dataclass
class Formats:
    """All event formats of a file by id. ``n_damaged`` blocks could not be read, ``first`` says where and why.

    ``systems`` are the names of all systems of events that it describes, of whichever formats were asked for.
    """

    events: dict[int, EventFormat] = field(default_factory=dict)
    systems: set[str] = field(default_factory=set)
    n_fields: int = 0
    n_damaged: int = 0
    first: Damage | None = None

    def miss(self, damage: Damage) -> None:
        """One more block that could not be read."""
        self.n_damaged += 1
        self.first = self.first or damage

    def named(self, name: str, *, system: str = "ftrace") -> EventFormat | None:
        """The event of this name, None where the file does not describe it."""
        return next((e for e in self.events.values() if e.name == name and e.system == system), None)


def parse_fields(text: str) -> Iterator[Field]:
    """The ``field:`` lines of a format block: ``field:TYPE NAME;  offset:N;  size:N;  signed:N;``."""
    n = 0
    for line in text.split("\n"):
        declaration, *numbers = line.strip().split(";", 4)
        if not declaration.startswith("field:") or len(declaration) > _MAX_DECLARATION or n == _MAX_FIELDS:
            continue
        told = {key: whole(value.strip()) for key, _, value in (part.strip().partition(":") for part in numbers[:3])}
        offset, size = told.get("offset", -1), told.get("size", -1)
        if offset < 0 or size < 0:
            continue
        n += 1
        words = declaration[len("field:") :].strip()
        is_array = "[" in words
        is_dynamic = words.startswith(("__data_loc", "__rel_loc"))
        length = 0
        if is_dynamic:
            # "__data_loc char[] name": the brackets belong to the type.
            ctype, _, name = words.rpartition(" ")
        else:
            before, _, behind = words.partition("[")
            ctype, _, name = before.rstrip().rpartition(" ")
            length = max(0, whole(behind.partition("]")[0].strip()))
        yield Field(name.lstrip("*"), ctype, offset, size, told.get("signed") == 1, is_array, is_dynamic, length)


def signed_width(field: Field) -> int:
    """Bytes of the signed number that an unsigned field holds, 0 if it holds none.

    Of the arguments of system calls the format block says that every one is an unsigned register.
    """
    if field.signed or field.type not in ("int", "pid_t", "long"):
        return 0
    return field.size if field.type == "long" else 4


_SIZES = {
    1: frozenset(("char", "bool", "u8", "s8", "__u8", "__s8", "uint8_t", "int8_t", "u_char")),
    2: frozenset(("short", "u16", "s16", "__u16", "__s16", "__le16", "__be16", "uint16_t", "int16_t")),
    8: frozenset(("u64", "s64", "__u64", "__s64", "__le64", "__be64", "uint64_t", "int64_t", "loff_t")),
}


def element_size(field: Field, long_size: int) -> int:
    """Bytes of an element of an array: by its length where that is told, else by its type."""
    if field.length and not field.is_dynamic and field.size % field.length == 0:
        return field.size // field.length
    words = field.type.replace("[]", "").split()
    if "*" in field.type or "long" in words or "cpumask_t" in words or "size_t" in words:
        return 8 if words.count("long") == 2 else long_size
    return next((size for size, names in _SIZES.items() if names.intersection(words)), 4)


_NAME = re.compile(r"^name:[ \t]*(\S{1,255})", re.MULTILINE)
_ID = re.compile(r"^ID:[ \t]*([0-9]{1,9})(?![0-9])", re.MULTILINE)
_ID_BYTES = re.compile(_ID.pattern.encode(), re.MULTILINE)


def parse_event(system: str, text: str, offset: int = 0) -> EventFormat | None:
    """One format block; None if it has no name or no id."""
    head, _, _ = text.partition("print fmt:")
    name, number = _NAME.search(head), _ID.search(head)
    if name is None or number is None or int(number[1]) > 0xFFFF:
        return None
    fields: dict[str, Field] = {}
    common: dict[str, Field] = {}
    for each in parse_fields(head):
        (common if each.name.startswith("common_") else fields)[each.name] = each
    return EventFormat(int(number[1]), system, name[1], fields, common, offset)


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


_Systems = Callable[[Fields], Iterator[tuple[str, int]]]


def _systems_of_ftrace(section: Fields) -> Iterator[tuple[str, int]]:
    yield "ftrace", section.number(4, "the number of events")


def _systems_of_events(section: Fields) -> Iterator[tuple[str, int]]:
    for _ in range(section.number(4, "the number of event systems")):
        yield section.string("an event system's name"), section.number(4, "the number of events")


def _read_blocks(section: Fields, formats: Formats, systems: _Systems, wanted: set[int] | None) -> None:
    n_blocks = 0
    try:
        for system, count in systems(section):
            if len(formats.systems) < MAX_FORMATS:
                formats.systems.add(system)
            for _ in range(count):
                at = section.offset
                n_blocks += 1
                if n_blocks > MAX_FORMATS:
                    raise Damage(at, f"more than {MAX_FORMATS} event formats")
                _add(section.take(section.number(8, "an event format"), "an event format"), system, at, formats, wanted)
    except Damage as damage:
        formats.miss(damage)


def _add(block: bytes, system: str, at: int, formats: Formats, wanted: set[int] | None) -> None:
    number = _ID_BYTES.search(block, 0, _MAX_BLOCK)
    if number is not None and wanted is not None and int(number[1]) not in wanted:
        return
    event = parse_event(system, block.decode("utf-8", "replace"), at) if len(block) <= _MAX_BLOCK else None
    if event is None or event.id in formats.events:
        formats.miss(Damage(at, "an event format without a name or an id of its own"))
        return
    formats.n_fields += len(event.fields)
    if formats.n_fields > _MOST_FIELDS:
        formats.miss(Damage(at, f"more than {_MOST_FIELDS} fields"))
        return
    formats.events[event.id] = event
