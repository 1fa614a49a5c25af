"""A buffer's data, decompressed by threads ahead of the loop that decodes it.

Imports no numpy: while the modules that decode are being imported, the first chunks are on their way.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from kfgraph.parse.tracedat.container import Container
from kfgraph.parse.tracedat.layout import Buffer, Chunk, CpuData
from kfgraph.parse.tracedat.source import MAX_CHUNK, Damage

_AHEAD_BYTES = 32 << 20
"""What all CPUs together may hold decompressed, about."""
_GROUP_BYTES = 2 << 20
"""A thread gets to run Python between two calls of the decoding loop only: not for every chunk."""
_GROUPS_AHEAD = 4
"""At least, for each CPU."""
_FREED_BYTES = 12 << 20
_MOST_BYTES = 256 << 20
"""One chunk of every CPU at once: more is damage."""


class Later:
    """The result of a function that runs in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # raised again where the value is asked for
            self._error = error

    def result(self) -> Any:
        """Wait for it; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value


class Coming:
    """One buffer of a container, each of its CPUs' data on its way from the moment that this is made.

    ``cpus`` are in the order of ``buffer.cpus``.

    Raises:
        NoMatchError: there is no buffer of that name.
        InputError, Damage: there is nothing to read in it.
    """

    def __init__(self, container: Container, buffer: str | None = None) -> None:
        self.container = container
        self.buffer: Buffer = container.buffer_named(buffer)
        _keep_freed_memory()
        n_cpus = max(len(self.buffer.cpus), 1)
        for data in self.buffer.cpus:
            largest = max((chunk.size for chunk in data.chunks), default=0)
            if largest * n_cpus > _MOST_BYTES:
                what = f"chunks of {largest} bytes on {n_cpus} CPUs, more than any trace has"
                raise Damage(data.chunks[0].offset, what)
        turns = threading.Semaphore(os.cpu_count() or 1)
        self.cpus = [_Ahead(container, data, _AHEAD_BYTES // n_cpus, turns) for data in self.buffer.cpus]


class _Ahead:
    """(where it begins in the CPU's data, chunk, its bytes or the Damage) of every chunk of a CPU, in order.

    ``room`` bytes are held decompressed, about; threads take ``turns``.
    """

    def __init__(self, container: Container, data: CpuData, room: int, turns: threading.Semaphore) -> None:
        self._container = container
        self._data = data
        self._turns = turns
        group_bytes = min(_GROUP_BYTES, room // _GROUPS_AHEAD)
        self._groups = _groups(data.chunks, group_bytes)
        self._n_ahead = room // max(group_bytes, 1)
        self._coming: deque[tuple[list[Chunk], Later]] = deque()
        self._chunks = self._each()
        self._start_more()

    def __iter__(self) -> Iterator[tuple[int, Chunk, Any]]:
        return self._chunks

    def __next__(self) -> tuple[int, Chunk, Any]:
        return next(self._chunks)

    def _start_more(self) -> None:
        while len(self._coming) < self._n_ahead and (group := next(self._groups, None)) is not None:
            self._coming.append((group, Later(_expander(self._container, self._data, group, self._turns))))

    def _each(self) -> Iterator[tuple[int, Chunk, Any]]:
        at = 0
        while self._coming:
            group, later = self._coming.popleft()
            parts = later.result()
            self._start_more()
            for chunk, part in zip(group, parts, strict=True):
                yield at, chunk, part
                at += chunk.size
            del parts, later


def _keep_freed_memory() -> None:
    """Have glibc use the memory of one group for the next: it gives back to the kernel what is freed, unless
    something larger has been freed before. Where that is not so, this does nothing (nothing is touched).
    """
    bytes(_FREED_BYTES)


def _groups(chunks: tuple[Chunk, ...], room: int) -> Iterator[list[Chunk]]:
    group: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if group and size + chunk.size > room:
            yield group
            group, size = [], 0
        group.append(chunk)
        size += chunk.size
    if group:
        yield group


def _expander(
    container: Container, data: CpuData, group: list[Chunk], turns: threading.Semaphore
) -> Callable[[], list[Any]]:
    def expand() -> list[Any]:
        with turns:
            if group[0].compressed and container.codec.name == "zstd":
                parts = _all_at_once(data, group)
                if parts is not None:
                    return parts
            return [_one(container, data, chunk) for chunk in group]

    return expand


def _one(container: Container, data: CpuData, chunk: Chunk) -> bytes | Damage:
    try:
        return container.expand_chunk(data.source, chunk)
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
        bytes(stored[chunk.offset - start : chunk.offset - start + chunk.stored])
        for chunk in group
    ]
    if len(frames[-1]) < group[-1].stored:
        return None
    sizes = struct.pack(f"={len(group)}Q", *(chunk.size for chunk in group))
    try:
        parts: Any = decompressor.multi_decompress_to_buffer(frames, decompressed_sizes=sizes)
    except (zstandard.ZstdError, ValueError):
        return None
    return list(parts) if all(len(part) == chunk.size for part, chunk in zip(parts, group, strict=True)) else None
