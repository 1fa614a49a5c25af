"""Version 6 of trace.dat: no sections, no compression.

Source: trace-cmd.dat.v6(5), and trace-input.c of libtracecmd.
"""

from __future__ import annotations

from collections.abc import Iterator

from kfgraph.model.units import format_bytes
from kfgraph.tracefile.cpulists import CpuLists
from kfgraph.tracefile.damage import Notes
from kfgraph.tracefile.header import Header
from kfgraph.tracefile.layout import MAX_CPUS, MAX_FORMATS, MAX_OPTIONS, Buffer, Option
from kfgraph.tracefile.option_section import Options, Parts, Place
from kfgraph.tracefile.recover import leftover_buffers
from kfgraph.tracefile.source import Damage


def read_version_6(header: Header, notes: Notes) -> Parts:
    """The parts of a file whose header says 6: everything one after another, the CPUs' data last.

    What is damaged or missing goes into ``notes``.

    Raises:
        Damage: it ends before the CPUs' data, and nothing beside it has that.
    """
    parts = Parts(Options(header))
    options, places = parts.options, parts.places
    offset = header.after
    try:
        for option, place in _sections(header):
            places[option] = place
            offset = place.end
        n_cpus = header.fields(offset, 4).number(4, "the number of CPUs")
        if n_cpus > MAX_CPUS:
            raise Damage(offset, f"{n_cpus} CPUs")
        kind, offset = _add_options(header, options, offset + 4)
        for data in options.all(Option.CPUCOUNT):
            n_cpus = min(data.number(4, "the CPU count"), MAX_CPUS)
    except Damage as damage:
        notes.damage("cut-file", damage)
        beside = leftover_buffers(header, options.clock, notes) if Option.FTRACE_EVENTS in places else []
        if not beside:
            raise
        return Parts(options, places, beside)
    if kind.startswith(b"latency"):
        return Parts(options, places, [Buffer("", options.clock, header.page_size, is_text=True)])
    cpus = CpuLists(header, notes)
    return Parts(options, places, _buffers(header, options, offset, n_cpus, cpus, notes))


def _buffers(
    header: Header, options: Options, offset: int, n_cpus: int, cpus: CpuLists, notes: Notes
) -> list[Buffer]:
    """The main buffer, whose list of CPUs is at ``offset``, and the others."""
    main = Buffer("", options.clock or "local", header.page_size)
    _claim_list(cpus, main, offset, n_cpus)
    _add_cpus(header, cpus, main, offset, n_cpus, notes)
    if not options.clock and options.first(Option.TRACECLOCK) is not None:
        main.clock = _clock_after_cpus(header, offset + 16 * n_cpus)
    buffers = [main]
    for option in options.all(Option.BUFFER):
        try:
            at = option.number(8, "a buffer option")
            buffer = Buffer(option.string("a buffer's name"), options.clock or "local", header.page_size)
            kind, at = _add_options(header, options, at)
            _claim_list(cpus, buffer, at, n_cpus)
            buffer.is_text = kind.startswith(b"latency")
            buffers.append(buffer)
            _add_cpus(header, cpus, buffer, at, n_cpus, notes)
        except Damage as damage:
            notes.damage("buffer", damage)
    return buffers


def _clock_after_cpus(header: Header, offset: int) -> str:
    """The trace clock where an old trace-cmd put it; "local" as trace-cmd has it where it is damaged."""
    try:
        fields = header.fields(offset, 4096)
        words = fields.take(fields.number(8, "the clock"), "the clock").decode("utf-8", "replace").split()
    except Damage:
        words = []
    return next((word[1:-1] for word in words if word.startswith("[") and word.endswith("]")), "local")


def _sections(header: Header) -> Iterator[tuple[Option, Place]]:
    """Where each part of the metadata is, one after another."""
    offset = start = header.after
    for word in (b"header_page\0", b"header_event\0"):
        if header.source.read(offset, len(word)) != word:
            raise Damage(offset, f"no {word[:-1].decode()} where it should be")
        offset += len(word)
        offset += 8 + header.fields(offset, 8).number(8, "a header's size")
    yield Option.HEADER_INFO, Place(start, size=offset - start)
    start = offset
    offset, n_formats = _skip_formats(header, offset, 0)
    yield Option.FTRACE_EVENTS, Place(start, size=offset - start)
    start = offset
    n_systems = header.fields(offset, 4).number(4, "the number of event systems")
    if n_systems > MAX_FORMATS:
        raise Damage(offset, f"{n_systems} event systems")
    offset += 4
    for _ in range(n_systems):
        name = header.fields(offset, 256)
        name.string("an event system's name")
        offset, n_formats = _skip_formats(header, offset + name.pos, n_formats)
    yield Option.EVENT_FORMATS, Place(start, size=offset - start)
    for option, width in ((Option.KALLSYMS, 4), (Option.PRINTK, 4), (Option.CMDLINES, 8)):
        size = header.fields(offset, width).number(width, f"the size of {option.name.lower()}")
        if size > header.source.size:
            raise Damage(offset, f"{option.name.lower()} of {format_bytes(size)}")
        yield option, Place(offset, size=width + size)
        offset += width + size


def _skip_formats(header: Header, offset: int, n_before: int) -> tuple[int, int]:
    """(where one system's formats end, how many there are with those before it)."""
    count = header.fields(offset, 4).number(4, "the number of events")
    if n_before + count > MAX_FORMATS:
        raise Damage(offset, f"{n_before + count} event formats")
    offset += 4
    for _ in range(count):
        offset += 8 + header.fields(offset, 8).number(8, "an event format's size")
        if offset > header.source.size:
            raise Damage(header.source.size, "an event format runs past the end of the file")
    return offset, n_before + count


def _add_options(header: Header, options: Options, offset: int) -> tuple[bytes, int]:
    """Add the options at ``offset``; the word after them (``flyrecord``, ``latency``) and where it ends."""
    word = header.source.read(offset, 10)
    offset += 10
    if word.startswith(b"options"):
        while True:
            option = header.fields(offset, 2).number(2, "an option")
            offset += 2
            if option == Option.DONE:
                break
            size = header.fields(offset, 4).number(4, "an option")
            if size > MAX_OPTIONS:
                raise Damage(offset, f"an option of {format_bytes(size)}")
            options.add(option, header.fields(offset + 4, size).take(size, "an option"), offset + 4)
            offset += 4 + size
        word = header.source.read(offset, 10)
        offset += 10
    if not word.startswith((b"flyrecord", b"latency")):
        raise Damage(offset - 10, "neither trace data nor a latency trace")
    return word, offset


def _claim_list(cpus: CpuLists, buffer: Buffer, offset: int, n_cpus: int) -> None:
    if not cpus.claims.take(offset, offset + 16 * n_cpus):
        raise Damage(offset, f"the list of the CPUs of buffer {buffer.name[:80]!r} is another's too")


def _add_cpus(header: Header, cpus: CpuLists, buffer: Buffer, offset: int, n_cpus: int, notes: Notes) -> None:
    try:
        for cpu in range(n_cpus):
            fields = header.fields(offset + 16 * cpu, 16)
            start, size = fields.number(8, "a CPU's offset"), fields.number(8, "a CPU's size")
            cpus.add(buffer, cpu, start, size, compressed=False)
    except Damage as damage:
        notes.damage("cut-file", damage)
