"""The bytes of marks' records, read from the file again when they are asked for.

Only where each record stands is kept; its chunk is read (and decompressed) again. So the file must be there as it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kfgraph.errors import InputError
from kfgraph.model.arrays import distinct
from kfgraph.parse.tracedat.feed import expanded
from kfgraph.tracefile.contents import Contents
from kfgraph.tracefile.layout import Buffer
from kfgraph.tracefile.source import Damage

Int64 = npt.NDArray[np.int64]

_KEPT_CHUNKS = 8
_PLACE_BITS = 48
_GROUP_BYTES = 2 << 20
_PADDING = bytes(16)


class Block(NamedTuple):
    """Some of the records asked for: ``at[i]`` is the index among them of the record that is ``sizes[i]`` bytes of
    ``data`` from ``starts[i]`` on. At least 16 bytes follow the last one."""

    at: npt.NDArray[Any]
    data: npt.NDArray[np.uint8]
    starts: Int64
    sizes: Int64


class Records(Protocol):
    """The records of all marks, by mark."""

    def __len__(self) -> int: ...

    def one(self, mark: int) -> bytes:
        """The data of one record, from ``common_type`` on."""

    def blocks(self, marks: npt.NDArray[Any]) -> Iterator[Block]:
        """Those of several marks in ascending order, a few MiB of the file at a time."""


class FileRecords:
    """Records where they stand in the file, which is held open. One that was pickled finds it by its path, or holds
    the records where the file has no name (it was unpacked into a temporary one).

    Raises:
        InputError: where one is asked for and the file was written to since, or is gone.
    """

    def __init__(self, contents: Contents, buffer: Buffer, places: Int64) -> None:
        """``places`` as ``Decoder.mark_places`` has them."""
        self._name = contents.name
        self._codec = contents.header.codec
        self._cpus = buffer.cpus
        self._begins = [[0, *accumulate(chunk.size for chunk in data.chunks)] for data in buffer.cpus]
        self._places = places
        self._big_endian = contents.big_endian
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        if all(data.source.has_name for data in self._cpus):
            return object.__new__, (FileRecords,), {**self.__dict__, "_kept": OrderedDict()}
        return HeldRecords, _copied(self)

    def __len__(self) -> int:
        return len(self._places)

    def one(self, mark: int) -> bytes:
        """As :class:`Records` has it."""
        place = int(self._places[mark])
        stream, at = place >> _PLACE_BITS, place & (1 << _PLACE_BITS) - 1
        begins = self._begins[stream]
        which = bisect_right(begins, at) - 1
        chunk = self._chunk(stream, which)
        at -= begins[which]
        head = self._number(chunk, at)
        words = head >> 27 if self._big_endian else head & 31
        if words:
            return chunk[at + 4 : at + 4 + 4 * words]
        return chunk[at + 8 : at + 4 + self._number(chunk, at + 4)]

    def blocks(self, marks: npt.NDArray[Any]) -> Iterator[Block]:
        """As :class:`Records` has it."""
        places = self._places[marks]
        streams = places >> _PLACE_BITS
        for stream in distinct(streams).tolist():
            index = np.flatnonzero(streams == stream)
            at = places[index] & (1 << _PLACE_BITS) - 1
            if (np.diff(at) < 0).any():
                order = np.argsort(at, kind="stable")
                index, at = index[order], at[order]
            yield from self._of_stream(stream, index, at)

    def _of_stream(self, stream: int, index: npt.NDArray[Any], at: Int64) -> Iterator[Block]:
        data = self._cpus[stream]
        begins = np.array(self._begins[stream], np.int64)
        # Of each chunk, the first of the records that stand in it or behind it.
        first = np.searchsorted(at, begins)
        wanted = np.flatnonzero(np.diff(first)).tolist()
        for group in _groups(wanted, np.diff(begins).tolist()):
            chunks = [data.chunks[which] for which in group]
            if not data.source.still():
                raise self._unreadable(Damage(chunks[0].offset, "the file is not what it was when it was loaded"))
            parts = expanded(self._codec, data, chunks)
            for part in parts:
                if isinstance(part, Damage):
                    raise self._unreadable(part)
            low, high = int(first[group[0]]), int(first[group[-1] + 1])
            # What the file breaks off in leaves its chunk short.
            ends = list(accumulate(len(part) for part in parts))
            shifts = np.array([0, *ends[:-1]], np.int64) - begins[group]
            starts = at[low:high] + np.repeat(shifts, [int(first[which + 1] - first[which]) for which in group])
            joined = np.frombuffer(b"".join([*parts, _PADDING]), np.uint8)
            yield Block(index[low:high], joined, *self._extents(joined, starts, ends[-1]))

    def _extents(self, data: npt.NDArray[np.uint8], at: Int64, end: int) -> tuple[Int64, Int64]:
        """Where the data of the records whose headers stand at ``at`` begins, and how long it is."""
        words_at = np.ndarray((len(data) - 3,), ">u4" if self._big_endian else "<u4", data, strides=(1,))
        at = np.minimum(at, end)
        head = words_at[at]
        size = ((head >> 27 if self._big_endian else head & 31) << 2).astype(np.int64)
        start = at + 4
        if not size.all():
            long = np.flatnonzero(size == 0)
            start[long] += 4
            size[long] = np.maximum(words_at[at[long] + 4].astype(np.int64) - 4, 0)
        return start, np.minimum(size, np.maximum(end - start, 0))

    def _chunk(self, stream: int, which: int) -> bytes:
        key = (stream, which)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        data = self._cpus[stream]
        try:
            if not data.source.still():
                raise Damage(data.chunks[which].offset, "the file is not what it was when it was loaded")
            content = self._codec.chunk(data.source, data.chunks[which])
        except Damage as damage:
            raise self._unreadable(damage) from None
        self._kept[key] = content
        if len(self._kept) > _KEPT_CHUNKS:
            self._kept.popitem(last=False)
        return content

    def _unreadable(self, damage: Damage) -> InputError:
        return InputError(
            f"{self._name}: the record of an event cannot be read: {damage.what} (at byte {damage.offset})",
            "load the trace again",
        )

    def _number(self, data: bytes, at: int) -> int:
        return int.from_bytes(data[at : at + 4], "big" if self._big_endian else "little")


class HeldRecords:
    """Records in memory: record i is ``data[ends[i - 1]:ends[i]]``, and 16 bytes follow the last."""

    def __init__(self, data: npt.NDArray[np.uint8], ends: Int64) -> None:
        self._data = data
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def one(self, mark: int) -> bytes:
        """As :class:`Records` has it."""
        mark = range(len(self))[mark]
        return self._data[self._ends[mark - 1] if mark else 0 : self._ends[mark]].tobytes()

    def blocks(self, marks: npt.NDArray[Any]) -> Iterator[Block]:
        """As :class:`Records` has it."""
        starts = np.concatenate((np.zeros(1, np.int64), self._ends))[marks]
        yield Block(np.arange(len(marks)), self._data, starts, self._ends[marks] - starts)


def _groups(wanted: list[int], sizes: list[int]) -> Iterator[list[int]]:
    """Chunks that follow one another, some MiB at once."""
    group: list[int] = []
    n_bytes = 0
    for which in wanted:
        if group and (which != group[-1] + 1 or n_bytes + sizes[which] > _GROUP_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(which)
        n_bytes += sizes[which]
    if group:
        yield group


def _copied(records: FileRecords) -> tuple[npt.NDArray[np.uint8], Int64]:
    """The data and the ends that HeldRecords takes."""
    parts: list[tuple[npt.NDArray[Any], npt.NDArray[np.uint8], Int64]] = []
    for block in records.blocks(np.arange(len(records))):
        parts.append((block.at, cut_out(block.data, block.starts, block.sizes), block.sizes))
    flat, ends = in_order(parts, len(records))
    return np.concatenate((flat, np.frombuffer(_PADDING, np.uint8))), ends


def cut_out(data: npt.NDArray[np.uint8], starts: Int64, sizes: Int64) -> npt.NDArray[np.uint8]:
    """``data[starts[i]:starts[i] + sizes[i]]`` for all i, one after another."""
    if len(sizes) and (sizes == sizes[0]).all():
        size = int(sizes[0])
        every = np.ndarray((max(len(data) - size + 1, 0), size), np.uint8, data, strides=(1, 1))
        return every[starts].reshape(-1) if size else data[:0]
    ends = np.cumsum(sizes)
    index: Int64 = np.repeat(starts - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    return data[index]


def in_order(
    parts: list[tuple[npt.NDArray[Any], npt.NDArray[np.uint8], Int64]], n: int
) -> tuple[npt.NDArray[np.uint8], Int64]:
    """(data, ends) of n pieces. Each part is (index of each piece, their bytes one after another, their sizes)."""
    sizes = np.zeros(n, np.int64)
    for at, _, part in parts:
        sizes[at] = part
    ends = np.cumsum(sizes)
    data = np.empty(int(ends[-1]) if n else 0, np.uint8)
    for at, flat, part in parts:
        begins = ends[at] - part
        if len(at) and (np.diff(at) == 1).all():
            data[begins[0] : begins[0] + len(flat)] = flat
        else:
            own = np.cumsum(part)
            data[np.repeat(begins - (own - part), part) + np.arange(len(flat))] = flat
    return data, ends
