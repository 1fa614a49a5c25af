"""Version 6 of trace.dat: no sections, no compression.

Source: trace-cmd.dat.v6(5), and trace-input.c of libtracecmd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfgraph.tracefile.layout import MAX_CPUS, MAX_FORMATS, MAX_OPTIONS, Buffer, Option
from kfgraph.tracefile.recover import add_leftovers
from kfgraph.tracefile.source import Damage

if TYPE_CHECKING:
    from kfgraph.tracefile.container import Container


def read_version_6(container: Container) -> None:
    """Fill a container whose header says 6: everything one after another, the CPUs' data last."""
    offset = container.after_header
    try:
        offset = _skip_sections(container, offset)
        fields = container.fields(offset, 4)
        n_cpus = fields.number(4, "the number of CPUs")
        if n_cpus > MAX_CPUS:
            raise Damage(offset, f"{n_cpus} CPUs")
        offset += 4
        kind, offset = _skip_options(container, offset)
        for data in container.all_options(Option.CPUCOUNT):
            n_cpus = min(data.number(4, "the CPU count"), MAX_CPUS)
    except Damage as damage:
        container.notes.damage("cut-file", damage)
        if Option.FTRACE_EVENTS not in container.places or not add_leftovers(container):
            raise
        return
    if kind.startswith(b"latency"):
        container.buffers.append(Buffer("", container.clock, container.page_size, is_text=True))
        return
    container.buffers.append(Buffer("", container.clock or "local", container.page_size))
    _claim_list(container, container.buffers[0], offset, n_cpus)
    _read_cpus(container, container.buffers[0], offset, n_cpus)
    if not container.clock and container.first_option(Option.TRACECLOCK) is not None:
        container.buffers[0].clock = _clock_after_cpus(container, offset + 16 * n_cpus)
    for option in container.all_options(Option.BUFFER):
        try:
            at = option.number(8, "a buffer option")
            buffer = Buffer(option.string("a buffer's name"), container.clock or "local", container.page_size)
            kind, at = _skip_options(container, at)
            _claim_list(container, buffer, at, n_cpus)
            buffer.is_text = kind.startswith(b"latency")
            container.buffers.append(buffer)
            _read_cpus(container, buffer, at, n_cpus)
        except Damage as damage:
            container.notes.damage("buffer", damage)


def _clock_after_cpus(container: Container, offset: int) -> str:
    """The trace clock where an old trace-cmd put it; "local" as trace-cmd has it where it is damaged."""
    try:
        fields = container.fields(offset, 4096)
        words = fields.take(fields.number(8, "the clock"), "the clock").decode("utf-8", "replace").split()
    except Damage:
        words = []
    return next((word[1:-1] for word in words if word.startswith("[") and word.endswith("]")), "local")


def _skip_sections(container: Container, offset: int) -> int:
    """Note where each part of the metadata lies; where they end."""
    start = offset
    for word in (b"header_page\0", b"header_event\0"):
        if container.source.read(offset, len(word)) != word:
            raise Damage(offset, f"no {word[:-1].decode()} where it should be")
        offset += len(word)
        offset += 8 + container.fields(offset, 8).number(8, "a header's size")
    container.places[Option.HEADER_INFO] = (start, False, offset - start, False)
    start = offset
    offset, n_formats = _skip_formats(container, offset, 0)
    container.places[Option.FTRACE_EVENTS] = (start, False, offset - start, False)
    start = offset
    n_systems = container.fields(offset, 4).number(4, "the number of event systems")
    if n_systems > MAX_FORMATS:
        raise Damage(offset, f"{n_systems} event systems")
    offset += 4
    for _ in range(n_systems):
        name = container.fields(offset, 256)
        name.string("an event system's name")
        offset, n_formats = _skip_formats(container, offset + name.pos, n_formats)
    container.places[Option.EVENT_FORMATS] = (start, False, offset - start, False)
    for option, width in ((Option.KALLSYMS, 4), (Option.PRINTK, 4), (Option.CMDLINES, 8)):
        size = container.fields(offset, width).number(width, f"the size of {option.name.lower()}")
        if size > container.source.size:
            raise Damage(offset, f"{option.name.lower()} of {size} bytes")
        container.places[option] = (offset, False, width + size, False)
        offset += width + size
    return offset


def _skip_formats(container: Container, offset: int, n_before: int) -> tuple[int, int]:
    """(where one system's formats end, how many there are with those before it)."""
    count = container.fields(offset, 4).number(4, "the number of events")
    if n_before + count > MAX_FORMATS:
        raise Damage(offset, f"{n_before + count} event formats")
    offset += 4
    for _ in range(count):
        offset += 8 + container.fields(offset, 8).number(8, "an event format's size")
        if offset > container.source.size:
            raise Damage(container.source.size, "an event format runs past the end of the file")
    return offset, n_before + count


def _skip_options(container: Container, offset: int) -> tuple[bytes, int]:
    """Collect the options; the word after them (``flyrecord``, ``latency``) and where it ends."""
    word = container.source.read(offset, 10)
    offset += 10
    if word.startswith(b"options"):
        while True:
            option = container.fields(offset, 2).number(2, "an option")
            offset += 2
            if option == Option.DONE:
                break
            size = container.fields(offset, 4).number(4, "an option")
            if size > MAX_OPTIONS:
                raise Damage(offset, f"an option of {size} bytes")
            container.add_option(option, container.fields(offset + 4, size).take(size, "an option"), offset + 4)
            offset += 4 + size
        word = container.source.read(offset, 10)
        offset += 10
    if not word.startswith((b"flyrecord", b"latency")):
        raise Damage(offset - 10, "neither trace data nor a latency trace")
    return word, offset


def _claim_list(container: Container, buffer: Buffer, offset: int, n_cpus: int) -> None:
    if not container.claims.take(offset, offset + 16 * n_cpus):
        raise Damage(offset, f"the list of the CPUs of buffer {buffer.name[:80]!r} is another's too")


def _read_cpus(container: Container, buffer: Buffer, offset: int, n_cpus: int) -> None:
    try:
        for cpu in range(n_cpus):
            fields = container.fields(offset + 16 * cpu, 16)
            start, size = fields.number(8, "a CPU's offset"), fields.number(8, "a CPU's size")
            container.add_cpu(buffer, cpu, start, size, compressed=False)
    except Damage as damage:
        container.notes.damage("cut-file", damage)
