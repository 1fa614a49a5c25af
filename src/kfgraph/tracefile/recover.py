"""Unfinished files: what stands in them without a list of it, and what the recorder left beside them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from kfgraph.errors import Notice
from kfgraph.model.spelling import shell_line, shell_word
from kfgraph.tracefile.layout import COMPRESSED, MAX_CPUS, SECTIONS, Buffer, CpuData, Option, plain_chunks
from kfgraph.tracefile.source import Damage, Source, whole

if TYPE_CHECKING:
    from kfgraph.tracefile.container import Container

_MOST_SECTIONS = 256
_BLOCK = 1 << 20


def find_sections(container: Container) -> tuple[int, bool] | None:
    """Note the sections that stand one after another from the header on, for a file whose list of them is not there.

    Returns where the main buffer's data begins, and whether it is compressed; None if it is not there.
    """
    offset = container.after_header
    for _ in range(_MOST_SECTIONS):
        head = container.fields(offset, 16)
        if head.left() < 16:
            return None
        option, flags = head.number(2, "a section header"), head.number(2, "a section header")
        head.number(4, "a section header")
        size = head.number(8, "a section header")
        compressed = bool(flags & COMPRESSED)
        if option in SECTIONS:
            container.places.setdefault(Option(option), (offset + 16, False, size, compressed))
        elif option == Option.DONE and not container.options:
            try:
                container.read_options_section(offset)
            except Damage as damage:
                container.notes.damage("options", damage)
        elif option == Option.BUFFER:
            return offset + 16, compressed
        if option > Option.MODULES or size == 0 or size > container.source.size - offset:
            return None
        offset += 16 + size
    return None


def recover_buffers(container: Container, found: tuple[int, bool] | None) -> None:
    """The main buffer of a file without its list of buffers, from files beside it or from the data itself."""
    if add_leftovers(container):
        return
    if found is None:
        container.miss("cut-file", "the list of its buffers is missing, and their data", container.source.size)
        return
    offset, compressed = found
    buffer = Buffer("", container.clock, container.page_size)
    start = -(-offset // container.page_size) * container.page_size
    if compressed:
        while start + 4 < container.source.size and len(buffer.cpus) < MAX_CPUS:
            chunks, end = container.chunks(start, container.source.size, len(buffer.cpus), container.page_size)
            if not chunks:
                break
            buffer.cpus.append(CpuData(len(buffer.cpus), chunks, container.source))
            start = -(-end // container.page_size) * container.page_size
    else:
        begins = list(_where_stamps_go_back(container, start))
        for cpu, (begin, end) in enumerate(pairwise(begins)):
            chunks = plain_chunks(begin, end - begin, container.page_size)
            buffer.cpus.append(CpuData(cpu, chunks, container.source))
    if not buffer.cpus:
        container.miss("cut-file", "the list of CPUs is missing, and their data", container.source.size)
        return
    container.buffers.append(buffer)
    taken = (
        f"what stands before it was taken for CPUs 0 to {len(buffer.cpus) - 1} of the main buffer"
        if len(buffer.cpus) > 1
        else "what stands before it was taken for one CPU of the main buffer"
    )
    container.miss("cut-file", f"the list of CPUs at the end of the file is missing; {taken}", container.source.size)


def _where_stamps_go_back(container: Container, start: int) -> Iterator[int]:
    """Where each CPU's pages begin, and where the last end: a page before the one before it is another CPU's."""
    page_size, order = container.page_size, "big" if container.big_endian else "little"
    size = container.source.size
    stamp, n_cpus, at = -1, 0, start
    while at + 16 < size:
        block = container.source.read(at, _BLOCK)
        for pos in range(0, len(block) - 15, page_size):
            last, stamp = stamp, int.from_bytes(block[pos : pos + 8], order)  # type: ignore[arg-type]
            used = int.from_bytes(block[pos + 8 : pos + 8 + container.long_size], order) & 0x7FFFFFF  # type: ignore[arg-type]
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


def add_leftovers(container: Container) -> bool:
    """The buffers of the per-CPU files beside the file, which are pages and nothing else; whether there are any."""
    buffers: dict[str, Buffer] = {}
    n_files = 0
    for name, cpu, path in leftovers(container.source.path):
        try:
            source = Source(path, grows=True)
        except OSError as error:
            container.miss("leftover-unread", f"{path}: {error.strerror}", container.source.size)
            continue
        n_files += 1
        buffer = buffers.setdefault(name, Buffer(name, container.clock or "local", container.page_size))
        if source.size:
            buffer.cpus.append(CpuData(cpu, plain_chunks(0, source.size, container.page_size), source))
        else:
            source.close()
    container.buffers += buffers.values()
    if not buffers:
        return False
    text = f"the recorder did not finish this file: the data of {n_files} per-CPU files beside it was read"
    container.notes.say(Notice("leftover-files", text, details={"n_files": n_files}))
    return True
