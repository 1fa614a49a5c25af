"""Version 7 of trace.dat: sections, each compressed or not, listed in options sections.

Source: trace-cmd.dat.v7(5), and trace-input.c of libtracecmd.
"""

from __future__ import annotations

from kfgraph.tracefile.cpulists import CpuLists
from kfgraph.tracefile.damage import Notes
from kfgraph.tracefile.header import Header, checked_page_size
from kfgraph.tracefile.layout import COMPRESSED, MAX_CPUS, SECTIONS, Buffer, Option
from kfgraph.tracefile.option_section import Options, Parts, Place
from kfgraph.tracefile.recover import find_sections, recovered_buffers
from kfgraph.tracefile.source import Damage, Fields

_MOST_OPTION_SECTIONS = 256


def read_version_7(header: Header, notes: Notes) -> Parts:
    """The parts of a file whose header says 7; what is damaged or missing goes into ``notes``."""
    options = Options(header)
    reached_end = _read_options(options, header.options_at, notes)
    found = None if reached_end else find_sections(header, options, notes)
    places = {} if found is None else dict(found.places)
    for option, data, at in options.items:
        if option in SECTIONS and len(data) >= 8:
            offset = header.fields_of(data, at).number(8, "an option")
            places.setdefault(Option(option), Place(offset, has_header=True))
    cpus = CpuLists(header, notes)
    buffers = _buffers(header, options, cpus, notes)
    if not buffers and found is not None:
        buffers = recovered_buffers(header, options.clock, found, cpus, notes)
    return Parts(options, places, buffers)


def _read_options(options: Options, offset: int, notes: Notes) -> bool:
    """Read section after section; whether the end of the list was reached."""
    visited: set[int] = set()
    reached_end = False
    try:
        while offset and offset not in visited and len(visited) < _MOST_OPTION_SECTIONS:
            visited.add(offset)
            offset = options.add_section(offset)
            reached_end = not offset
    except Damage as damage:
        notes.damage("options", damage)
    return reached_end


def _buffers(header: Header, options: Options, cpus: CpuLists, notes: Notes) -> list[Buffer]:
    buffers: list[Buffer] = []
    for option, data, at in options.items:
        fields = header.fields_of(data, at)
        try:
            if option == Option.BUFFER:
                offset = fields.number(8, "a buffer option")
                buffer = _described(fields)
                head = header.fields(offset, 16)
                head.number(2, "a buffer section")
                compressed = bool(head.number(2, "a buffer section") & COMPRESSED)
                # Taken before its CPUs: what is read before a damage counts.
                buffers.append(buffer)
                _add_cpus(fields, buffer, cpus, compressed=compressed)
            elif option == Option.BUFFER_TEXT:
                fields.number(8, "a buffer option")
                buffers.append(Buffer(fields.string("a buffer's name"), "", header.page_size, is_text=True))
        except Damage as damage:
            notes.damage("buffer", damage)
    return buffers


def _described(fields: Fields) -> Buffer:
    name, clock = fields.string("a buffer's name"), fields.string("a buffer's clock")
    at = fields.offset
    return Buffer(name, clock, checked_page_size(fields.number(4, "a buffer option"), at))


def _add_cpus(fields: Fields, buffer: Buffer, cpus: CpuLists, *, compressed: bool) -> None:
    for _ in range(min(fields.number(4, "a buffer option"), MAX_CPUS)):
        cpu = fields.number(4, "a buffer's CPU")
        start, size = fields.number(8, "a buffer's CPU"), fields.number(8, "a buffer's CPU")
        if cpu >= MAX_CPUS:
            raise Damage(fields.offset, f"CPU {cpu}")
        cpus.add(buffer, cpu, start, size, compressed=compressed)
