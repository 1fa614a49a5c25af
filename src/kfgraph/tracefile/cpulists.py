"""The lists of CPUs' data, checked: within the file, no two in one place, chunks of sizes that chunks have."""

from __future__ import annotations

import struct
from bisect import bisect_right

from kfgraph.model.units import format_bytes
from kfgraph.tracefile.damage import Notes
from kfgraph.tracefile.header import Header
from kfgraph.tracefile.layout import MAX_CHUNK, Buffer, Chunk, CpuData, plain_chunks
from kfgraph.tracefile.source import Damage, most_stored

_CHUNK_AT_LEAST = 128
"""Bytes stored of a chunk in the mean, but for the first few thousand: 10 pages with a record each take more."""
_MOST_EXPANDED, _MOST_RATIO = 1 << 30, 256
"""Bytes of all chunks together: so much, and so many times the file (pages hardly used come down to a hundredth)."""


class Claims:
    """The parts of a file that are taken: no two CPUs share data, or a small file could be as long as it likes."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def room(self, start: int, end: int) -> int:
        """How much of [start, end) is free, from its beginning on."""
        at = bisect_right(self._starts, start)
        if at and self._ends[at - 1] > start:
            return 0
        return min(end, self._starts[at]) - start if at < len(self._starts) else end - start

    def take(self, start: int, end: int) -> bool:
        """Take [start, end), unless part of it is taken."""
        if start >= end or self.room(start, end) < end - start:
            return start >= end
        at = bisect_right(self._starts, start)
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        return True


class CpuLists:
    """Checks the data of one CPU after another, of all buffers of a file; what is wrong goes into ``notes``."""

    def __init__(self, header: Header, notes: Notes) -> None:
        self.claims = Claims()
        self._header = header
        self._notes = notes
        self._n_chunks = self._n_expanded = 0

    def add(self, buffer: Buffer, cpu: int, start: int, size: int, *, compressed: bool) -> None:
        """Take [start, start + size) of the file, as far as it is there, for a CPU's data."""
        source = self._header.source
        if cpu in buffer.numbers:
            self._notes.add("cpu", f"CPU {cpu} is listed twice", offset=start)
            return
        buffer.numbers.add(cpu)
        if start > source.size or size > source.size - start:
            kept = max(0, source.size - start)
            self._notes.add("cut-file", f"{format_bytes(size - kept)} of the data of CPU {cpu} missing", offset=start)
            size = kept
        if not size:
            return
        room = self.claims.room(start, source.size)
        if compressed and room:
            # trace-cmd 3.1 leaves the count out of the size, 3.4 does not: the chunks tell where they end.
            chunks, end = self.chunks(start, start + room, cpu, buffer.page_size)
        else:
            chunks, end = plain_chunks(start, size, buffer.page_size), start + size
        if not room or not self.claims.take(start, end):
            self._notes.add("cpu", f"the data of CPU {cpu} is another's too", offset=start)
            return
        buffer.cpus.append(CpuData(cpu, chunks, source))

    def chunks(self, start: int, end: int, cpu: int, page_size: int) -> tuple[tuple[Chunk, ...], int]:
        """The chunks of one CPU's compressed data in [start, end), and where they end."""
        header, notes = self._header, self._notes
        chunks: list[Chunk] = []
        try:
            n_chunks = header.fields(start, 4).number(4, "the number of chunks")
        except Damage as damage:
            notes.damage("cut-file", damage)
            return (), start
        sizes = struct.Struct(">II" if header.big_endian else "<II")
        offset = start + 4
        most = (1 << 12) + header.source.size // _CHUNK_AT_LEAST
        most_expanded = _MOST_EXPANDED + _MOST_RATIO * header.source.size
        for n_read in range(n_chunks):
            head = header.source.read(offset, sizes.size)
            stored, size = sizes.unpack(head) if len(head) == sizes.size else (end, 0)
            if stored > end - offset - sizes.size:
                what = f"{n_chunks - n_read} of {n_chunks} chunks of CPU {cpu} are missing"
                notes.add("cut-file", what, offset=offset)
                break
            self._n_chunks += 1
            self._n_expanded += size
            is_too_much = self._n_chunks > most or self._n_expanded > most_expanded
            if is_too_much or size > min(MAX_CHUNK, 16 * page_size) or not 0 < stored <= most_stored(size):
                what = f"a chunk of CPU {cpu} says that it holds {format_bytes(size)} in {stored}"
                notes.add("damaged-chunk", what, offset=offset)
                break
            chunks.append(Chunk(offset + 8, stored, size, True))
            offset += 8 + stored
        return tuple(chunks), offset
