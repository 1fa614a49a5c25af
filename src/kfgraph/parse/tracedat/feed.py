"""Chunks of one CPU's data, decompressed ahead in a thread while the one before is decoded."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kfgraph.parse.tracedat.container import Container
from kfgraph.parse.tracedat.layout import Chunk, CpuData
from kfgraph.parse.tracedat.source import MAX_CHUNK, Damage

_AHEAD_BYTES = 12 << 20
"""What all CPUs together may hold decompressed, about."""
_GROUP_BYTES = 2 << 20
_GROUPS_AHEAD = 3
"""A thread gets to run between two calls of the decoding loop only: with one group ahead both would wait."""
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


def expanded(container: Container, data: CpuData, n_cpus: int) -> Iterator[tuple[int, Chunk, Any]]:
    """(where it begins in the CPU's data, chunk, its bytes or the Damage) of every chunk, in order."""
    _keep_freed_memory()
    room = min(_GROUP_BYTES, _AHEAD_BYTES // ((_GROUPS_AHEAD + 1) * max(n_cpus, 1)))
    largest = max((chunk.size for chunk in data.chunks), default=0)
    if largest * n_cpus > _MOST_BYTES:
        raise Damage(data.chunks[0].offset, f"chunks of {largest} bytes on {n_cpus} CPUs, more than any trace has")
    groups = _groups(data.chunks, room)
    at = 0
    coming: deque[tuple[list[Chunk], Later]] = deque()
    while True:
        while len(coming) < _GROUPS_AHEAD and (group := next(groups, None)) is not None:
            coming.append((group, Later(_expander(container, data, group))))
        if not coming:
            return
        group, later = coming.popleft()
        parts = later.result()
        for chunk, part in zip(group, parts, strict=True):
            yield at, chunk, part
            at += chunk.size
        del parts, later


def _keep_freed_memory() -> None:
    """Have glibc use the memory of one group for the next: it gives back to the kernel what is freed, unless
    something larger has been freed before. Where that is not so, this does nothing (nothing is touched).
    """
    np.empty(_AHEAD_BYTES, np.uint8)


def words_of(part: Any, *, big_endian: bool) -> memoryview:
    """Bytes as 32-bit words of this machine's order (a rest of less than a word is left out)."""
    data = memoryview(part)
    words = np.frombuffer(data[: len(data) & ~3], ">u4" if big_endian else "<u4")
    native: Any = words.astype(np.uint32, copy=False)
    return memoryview(native)


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


def _expander(container: Container, data: CpuData, group: list[Chunk]) -> Callable[[], list[Any]]:
    def expand() -> list[Any]:
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
