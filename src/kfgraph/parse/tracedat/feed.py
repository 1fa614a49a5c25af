"""A buffer's data, decompressed in a thread ahead of the loop that decodes it; what is little, when it is asked for.

Imports no numpy: while the modules that decode are being imported, the first chunks are on their way.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from kfgraph.model.background import Signal, beside, is_worth_it
from kfgraph.model.units import format_bytes, plural
from kfgraph.tracefile.codec import Codec
from kfgraph.tracefile.contents import Contents
from kfgraph.tracefile.layout import MAX_CHUNK, Buffer, Chunk, CpuData
from kfgraph.tracefile.source import Damage

_AHEAD_BYTES = 24 << 20
"""What all CPUs together may hold decompressed, beside what is being decoded."""
_GROUP_BYTES = 2 << 20
"""Chunks are expanded in groups: the thread waits for its turn to run Python only so often."""
_FREED_BYTES = 12 << 20
_MOST_BYTES = 48 << 20
"""One chunk of every CPU at once; more only if the file is large enough to hold it, compressed."""
_RATIO = 8


class Piece(NamedTuple):
    """A chunk: where it begins in its CPU's data, how long it should be, its bytes or the Damage."""

    at: int
    size: int
    part: Any


class Prefetcher:
    """One buffer of a trace.dat, its data on its way from the moment that this is made.

    Raises:
        NoMatchError: there is no buffer of that name.
        InputError, Damage: there is nothing to read in it.
    """

    def __init__(self, contents: Contents, buffer: str | None = None) -> None:
        self.contents = contents
        self.buffer: Buffer = contents.buffer_named(buffer)
        cpus = self.buffer.cpus
        largest = [max((chunk.size for chunk in data.chunks), default=0) for data in cpus]
        n_stored = sum(chunk.stored for data in cpus for chunk in data.chunks)
        if sum(largest) > max(_MOST_BYTES, _RATIO * n_stored):
            where = plural(len(cpus), "CPU")
            what = f"chunks of up to {format_bytes(max(largest))} on {where}, more than any trace has"
            raise Damage(cpus[largest.index(max(largest))].chunks[0].offset, what)
        group_bytes = min(_GROUP_BYTES, _AHEAD_BYTES // (2 * max(len(cpus), 1)))
        self._lines = [_Line(contents, data, group_bytes) for data in cpus]
        self._wanted: _Line | None = None
        # Each is written by one thread: bytes expanded, and bytes taken of them.
        self._n_made = self._n_taken = 0
        self._made, self._taken = Signal(), Signal()
        self._closed = False
        if n_stored:
            # Here: a thread that dies in an import leaves it locked.
            contents.header.codec.prepare()
        if is_worth_it(self.buffer.n_bytes):
            _keep_freed_memory()
        self._worker = beside(self._expand, n_bytes=self.buffer.n_bytes)

    def pieces(self, which: int) -> Iterator[Piece]:
        """All data of the ``which``-th of the buffer's CPUs, in order."""
        line = self._lines[which]
        while True:
            while not line.ready and line.n_left and not self._closed:
                if self._worker is None:
                    line.expand_one()
                elif self._worker.is_over():
                    break
                else:
                    self._wanted = line
                    self._taken.give()
                    self._made.wait()
            if not line.ready:
                break
            group = line.ready.popleft()
            self._n_taken += sum(piece.size for piece in group)
            self._taken.give()
            yield from group
        if line.n_left and self._worker is not None:
            self._worker.result()

    def close(self) -> None:
        """Nobody takes any more: the thread ends."""
        self._closed = True
        self._taken.give()
        if self._worker is not None:
            self._worker.join()

    def _expand(self) -> None:
        """What the thread does: group after group, as long as there is room."""
        while (line := self._next_line()) is not None:
            if self._wanted is line:
                # Before it is ready: who finds nothing ready asks again.
                self._wanted = None
            self._n_made += line.expand_one()
            self._made.give()

    def _next_line(self) -> _Line | None:
        """The CPU whose next group is to be expanded, once there is room for it; None at the end."""
        while not self._closed:
            wanted = self._wanted
            if wanted is not None and wanted.n_left:
                return wanted
            left = [line for line in self._lines if line.n_left]
            if not left:
                return None
            if self._n_made - self._n_taken < _AHEAD_BYTES:
                # CPUs are merged by time: the one that has come least far is the next to be asked for.
                return min(left, key=_Line.share_expanded)
            self._taken.wait()
        return None


class _Line:
    """The groups of one CPU's chunks: ``ready`` are those expanded, ``n_left`` those that are not."""

    def __init__(self, contents: Contents, data: CpuData, group_bytes: int) -> None:
        self.ready: deque[list[Piece]] = deque()
        self._contents = contents
        self._data = data
        self._groups = _groups(data.chunks, group_bytes)
        self._at = 0
        self.n_left = len(self._groups)

    def share_expanded(self) -> float:
        """How much of the CPU's data, 0..1."""
        return 1 - self.n_left / len(self._groups)

    def expand_one(self) -> int:
        """Make the next group ready; how many bytes. To be called by one thread only."""
        group = self._groups[len(self._groups) - self.n_left]
        parts = expanded(self._contents.header.codec, self._data, group)
        pieces = []
        for chunk, part in zip(group, parts, strict=True):
            pieces.append(Piece(self._at, chunk.size, part))
            self._at += chunk.size
        # In this order: what is neither ready nor left is over.
        self.ready.append(pieces)
        self.n_left -= 1
        return sum(chunk.size for chunk in group)


def _keep_freed_memory() -> None:
    """Have glibc use the memory of one group for the next: it gives back to the kernel what is freed, unless
    something larger has been freed before. Where that is not so, this does nothing (nothing is touched).
    """
    bytes(_FREED_BYTES)


def _groups(chunks: tuple[Chunk, ...], room: int) -> list[list[Chunk]]:
    groups: list[list[Chunk]] = []
    size = 0
    for chunk in chunks:
        if not groups or size + chunk.size > room:
            groups.append([])
            size = 0
        groups[-1].append(chunk)
        size += chunk.size
    return groups


def expanded(codec: Codec, data: CpuData, group: list[Chunk]) -> list[Any]:
    """The data of some chunks, one after another in the file: bytes each, or the Damage."""
    parts = None
    if group[0].compressed and codec.name == "zstd":
        parts = _all_at_once(data, group)
    return [_one(codec, data, chunk) for chunk in group] if parts is None else parts


def _one(codec: Codec, data: CpuData, chunk: Chunk) -> bytes | Damage:
    try:
        return codec.chunk(data.source, chunk)
    except Damage as damage:
        return damage


def _all_at_once(data: CpuData, group: list[Chunk]) -> list[Any] | None:
    """One call for all chunks: between two calls this thread would wait for the decoding one.

    None where this build of zstandard cannot, or any chunk is damaged (then they go one by one).
    """
    import zstandard

    decompressor = zstandard.ZstdDecompressor()
    if not hasattr(decompressor, "multi_decompress_to_buffer") or any(chunk.size > MAX_CHUNK for chunk in group):
        return None
    start = group[0].offset
    stored = memoryview(data.source.read(start, group[-1].offset + group[-1].stored - start))
    frames: list[bytes | bytearray | memoryview[int]] = [
        bytes(stored[chunk.offset - start : chunk.offset - start + chunk.stored]) for chunk in group
    ]
    if len(frames[-1]) < group[-1].stored:
        return None
    sizes = struct.pack(f"={len(group)}Q", *(chunk.size for chunk in group))
    try:
        parts: Any = decompressor.multi_decompress_to_buffer(frames, decompressed_sizes=sizes)
    except (zstandard.ZstdError, ValueError):
        return None
    return list(parts) if all(len(part) == chunk.size for part, chunk in zip(parts, group, strict=True)) else None
