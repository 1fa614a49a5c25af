"""A recording cut down to some of its pages, byte for byte, as a trace.dat of its own: losses and byte order stay.

    PYTHONPATH=tests python -m builder.pagecut TRACE.dat OUT.dat [--pages N] [--losses N]

Of each CPU the first pages are kept (N, 8), and those around its first losses (N, 0). Of what describes the records
what they need is kept: event formats, symbols, types, names of tasks. builder.cut takes records instead, for a story.
"""

from __future__ import annotations

import argparse
import lzma
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kfgraph
from builder.cut import _extra, _symbols, formats
from builder.tracedat import Cpu, Extra, Kernel, trace_dat
from kfgraph.parse.tracedat.formats import parse_page_layout
from kfgraph.tracefile.contents import Contents, read_contents
from kfgraph.tracefile.layout import CpuData, Option

LOST = 1 << 31


@dataclass
class Pages(Cpu):
    """A CPU whose pages are there already."""

    data: bytes = b""

    def pages(self) -> bytes:
        return self.data


def pages_of(contents: Contents, data: CpuData, page_size: int) -> Iterator[bytes]:
    """The pages of one CPU."""
    for chunk in data.chunks:
        expanded = contents.header.codec.chunk(data.source, chunk)
        for start in range(0, len(expanded), page_size):
            yield bytes(expanded[start : start + page_size])


def chosen(contents: Contents, data: CpuData, page_size: int, *, n_pages: int, n_losses: int) -> bytes:
    """Its first pages, and two pages for each of its first losses: the one with the loss and the one behind it."""
    order = "big" if contents.big_endian else "little"
    layout = parse_page_layout(contents.section(Option.HEADER_INFO), contents.header.long_size)
    pages = list(pages_of(contents, data, page_size))
    lost = [
        i for i, page in enumerate(pages) if int.from_bytes(page[8 : 8 + layout.commit_size], order) & LOST  # type: ignore[arg-type]
    ]
    keep = {*range(n_pages), *(at for i in lost[:n_losses] for at in (i, i + 1))}
    return b"".join(page for i, page in enumerate(pages) if i in keep)


def cut(source: Path, *, n_pages: int, n_losses: int) -> bytes:
    """The cut file."""
    contents = read_contents(source)
    buffer = contents.buffer_named(None)
    kernel = Kernel(contents.big_endian, contents.header.long_size, buffer.page_size)
    cpus: list[Cpu] = [
        Pages(kernel, data.cpu, data=chosen(contents, data, buffer.page_size, n_pages=n_pages, n_losses=n_losses))
        for data in buffer.cpus
    ]
    version = contents.header.version
    compression = "zstd" if version >= 7 else "none"
    whole = kfgraph.load(source)
    events = formats(contents)

    def written(extra: Extra) -> bytes:
        return trace_dat(kernel, cpus, symbols={}, extra=extra, version=version, compression=compression)

    text = contents.section(Option.KALLSYMS)
    assert text is not None
    every = bytes(text.take(text.number(4, "kallsyms"), "kallsyms"))
    pids = {task.pid for task in whole.tasks.tasks}
    extra = _extra(contents, buffer, events, set(events), pids, every, whole)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trace.dat")
        file.write_bytes(written(extra))
        part = kfgraph.load(file)
    used = {number for number, (_, name, _) in events.items() if name in set(part.marks.names)}
    addresses = {int(address) for address in part.symbols.addresses[1:]}
    pids = {task.pid for task in part.tasks.tasks}
    # trace-cmd's search stops before its last symbol: that is to be one that no record needs.
    last = max(every.splitlines(keepends=True), key=lambda line: int(line.split(b" ")[0], 16))
    symbols = _symbols(contents, addresses, None) + last
    return written(_extra(contents, buffer, events, used, pids, symbols, part))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--losses", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = given.trace
        if source.suffix == ".xz":
            source = Path(folder, source.stem)
            source.write_bytes(lzma.decompress(given.trace.read_bytes()))
        given.out.write_bytes(cut(source, n_pages=given.pages, n_losses=given.losses))


if __name__ == "__main__":
    main()
