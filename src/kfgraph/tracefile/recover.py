"""Unfinished files: what stands in them without a list of it, and what the recorder left beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from kfgraph.errors import notice
from kfgraph.model.spelling import shell_line, shell_word
from kfgraph.tracefile.cpulists import CpuLists
from kfgraph.tracefile.damage import Notes
from kfgraph.tracefile.header import Header
from kfgraph.tracefile.layout import COMPRESSED, MAX_CPUS, SECTIONS, Buffer, CpuData, Option, plain_chunks
from kfgraph.tracefile.option_section import Options, Place
from kfgraph.tracefile.source import Damage, Source, whole

_MOST_SECTIONS = 256
_BLOCK = 1 << 20


@dataclass
class Found:
    """Sections that were found without a list, and where the main buffer's data begins (-1: it is not there)."""

    places: dict[Option, Place] = field(default_factory=dict)
    data_at: int = -1
    data_compressed: bool = False


def find_sections(header: Header, options: Options, notes: Notes) -> Found:
    """The sections that stand one after another from the head on, for a file whose list of them is not there.

    ``options`` gets those of an options section among them, if it is empty.
    """
    found = Found()
    offset = header.after
    for _ in range(_MOST_SECTIONS):
        head = header.fields(offset, 16)
        if head.left() < 16:
            break
        option, flags = head.number(2, "a section header"), head.number(2, "a section header")
        head.number(4, "a section header")
        size = head.number(8, "a section header")
        compressed = bool(flags & COMPRESSED)
        if option in SECTIONS:
            found.places.setdefault(Option(option), Place(offset + 16, size=size, compressed=compressed))
        elif option == Option.DONE and not options.items:
            try:
                options.add_section(offset)
            except Damage as damage:
                notes.damage("options", damage)
        elif option == Option.BUFFER:
            found.data_at, found.data_compressed = offset + 16, compressed
            break
        if option > Option.MODULES or size == 0 or size > header.source.size - offset:
            break
        offset += 16 + size
    return found


def recovered_buffers(header: Header, clock: str, found: Found, cpus: CpuLists, notes: Notes) -> list[Buffer]:
    """The buffers of a file without its list of them, from files beside it or from the data itself."""
    size = header.source.size
    if beside := leftover_buffers(header, clock, notes):
        return beside
    if found.data_at < 0:
        notes.add("cut-file", "the list of its buffers is missing, and their data", offset=size)
        return []
    buffer = Buffer("", clock, header.page_size)
    start = -(-found.data_at // header.page_size) * header.page_size
    if found.data_compressed:
        while start + 4 < size and len(buffer.cpus) < MAX_CPUS:
            chunks, end = cpus.chunks(start, size, len(buffer.cpus), header.page_size)
            if not chunks:
                break
            buffer.cpus.append(CpuData(len(buffer.cpus), chunks, header.source))
            start = -(-end // header.page_size) * header.page_size
    else:
        begins = list(_where_stamps_go_back(header, start))
        for cpu, (begin, end) in enumerate(pairwise(begins)):
            chunks = plain_chunks(begin, end - begin, header.page_size)
            buffer.cpus.append(CpuData(cpu, chunks, header.source))
    if not buffer.cpus:
        notes.add("cut-file", "the list of CPUs is missing, and their data", offset=size)
        return []
    taken = (
        f"what stands before it was taken for CPUs 0 to {len(buffer.cpus) - 1} of the main buffer"
        if len(buffer.cpus) > 1
        else "what stands before it was taken for one CPU of the main buffer"
    )
    notes.add("cut-file", f"the list of CPUs at the end of the file is missing; {taken}", offset=size)
    return [buffer]


def _where_stamps_go_back(header: Header, start: int) -> Iterator[int]:
    """Where each CPU's pages begin, and where the last end: a page before the one before it is another CPU's."""
    page_size, order = header.page_size, "big" if header.big_endian else "little"
    size = header.source.size
    stamp, n_cpus, at = -1, 0, start
    while at + 16 < size:
        block = header.source.read(at, _BLOCK)
        for pos in range(0, len(block) - 15, page_size):
            last, stamp = stamp, int.from_bytes(block[pos : pos + 8], order)  # type: ignore[arg-type]
            used = int.from_bytes(block[pos + 8 : pos + 8 + header.long_size], order) & 0x7FFFFFF  # type: ignore[arg-type]
            if used > page_size or stamp == 0:
                # Another section's head, or what was never written.
                if n_cpus:
                    yield at + pos
                return
            if (n_cpus == 0 or stamp < last) and n_cpus < MAX_CPUS:
                yield at + pos
                n_cpus += 1
        at += max(len(block), page_size)
    if n_cpus:
        yield size


def leftovers(path: str) -> list[tuple[str, int, str]]:
    """(buffer, cpu, path) of the per-CPU files that a killed trace-cmd leaves beside its output.

    ``trace.dat.cpu0``, and of a named buffer ``trace.dat.NAME.cpu0``.
    """
    own = Path(path)
    try:
        beside = list(own.parent.iterdir())
    except OSError:
        return []
    found = []
    for entry in beside:
        rest = entry.name.removeprefix(f"{own.name}.")
        name, _, number = rest.rpartition("cpu")
        cpu = whole(number)
        if rest != entry.name and 0 <= cpu < MAX_CPUS and number == str(cpu) and (not name or name[-1] == "."):
            found.append((name[:-1], cpu, str(entry)))
    return sorted(found)


def restore_hint(path: str) -> str:
    """What to type where per-CPU files are all that there is of a trace; "" where there are none beside it."""
    parts = [part for name, _, part in leftovers(path) if not name]
    if not parts:
        return ""
    shown = shell_line(parts) if len(parts) < 4 else f"{shell_word(path)}.cpu*"
    command = f"trace-cmd restore -o {shell_word(f'{path}.restored')} {shown}"
    return f"`{command}` makes a trace of the parts, under the kernel that recorded them"


def part_of(path: Path) -> Path | None:
    """The trace that a file is a recorder's per-CPU part of by its name, None if it is none."""
    stem, _, number = path.name.rpartition(".cpu")
    if not stem or whole(number) < 0:
        return None
    main = path.with_name(stem)
    # trace.dat.cpu0, and trace.dat.NAME.cpu0 of a named buffer.
    shorter = path.with_name(stem.rpartition(".")[0] or stem)
    return shorter if not main.exists() and shorter.exists() else main


def leftover_buffers(header: Header, clock: str, notes: Notes) -> list[Buffer]:
    """The buffers of the per-CPU files beside the file, which are pages and nothing else."""
    buffers: dict[str, Buffer] = {}
    n_files = 0
    for name, cpu, path in leftovers(header.source.path):
        try:
            source = Source(path, grows=True)
        except OSError as error:
            notes.add("leftover-unread", f"{path}: {error.strerror}", offset=header.source.size)
            continue
        n_files += 1
        buffer = buffers.setdefault(name, Buffer(name, clock or "local", header.page_size))
        if source.size:
            buffer.cpus.append(CpuData(cpu, plain_chunks(0, source.size, header.page_size), source))
        else:
            source.close()
    if buffers:
        notes.say(notice("leftover-files", details={"n_files": n_files}, n_files=n_files))
    return list(buffers.values())
