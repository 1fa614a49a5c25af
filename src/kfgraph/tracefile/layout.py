"""What the container is made of: ids of options and sections, buffers, the data of a CPU."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from kfgraph.tracefile.source import Source

MAGIC = b"\x17\x08\x44tracing"
COMPRESSED = 1
"""Flag of a section."""
MAX_CPUS = 1 << 13
MAX_PAGE = 1 << 20
"""Pages are of 4 to 64 KiB, sub-buffers (a kernel option) of a few times that."""

MAX_CHUNK = 16 << 20
"""A chunk of trace data that says it is larger is damaged (trace-cmd writes 10 pages a chunk)."""


class Option(enum.IntEnum):
    """Ids of options and sections."""

    DONE = 0
    DATE = 1
    CPUSTAT = 2
    BUFFER = 3
    TRACECLOCK = 4
    UNAME = 5
    OFFSET = 7
    CPUCOUNT = 8
    VERSION = 9
    TRACEID = 11
    TIME_SHIFT = 12
    TSC2NSEC = 14
    HEADER_INFO = 16
    FTRACE_EVENTS = 17
    EVENT_FORMATS = 18
    KALLSYMS = 19
    PRINTK = 20
    CMDLINES = 21
    BUFFER_TEXT = 22
    BTF = 23
    LAST_BOOT = 24
    MODULES = 25


SECTIONS = frozenset(range(Option.HEADER_INFO, Option.CMDLINES + 1)) | {Option.BTF, Option.MODULES}


LIMITS = {
    Option.HEADER_INFO: 1 << 20,
    Option.FTRACE_EVENTS: 1 << 20,
    Option.EVENT_FORMATS: 16 << 20,
    Option.KALLSYMS: 32 << 20,
    Option.PRINTK: 16 << 20,
    Option.CMDLINES: 4 << 20,
    Option.BTF: 32 << 20,
    Option.MODULES: 1 << 20,
}
"""Bytes of each section. The largest seen are 452, 13 k, 1.3 M, 10 M, 6 k, 1 k and 5 M; the kernel keeps 32 k comms."""
MAX_FORMATS = 1 << 16
"""Ids of events are 16 bits."""
MAX_OPTIONS = 8 << 20
"""All options of a file together, each with what it takes to keep."""


class Chunk(NamedTuple):
    """Part of a CPU's data: ``size`` bytes, stored as ``stored`` bytes at ``offset`` of the file."""

    offset: int
    stored: int
    size: int
    compressed: bool


class CpuData(NamedTuple):
    """All chunks of one CPU, in order."""

    cpu: int
    chunks: tuple[Chunk, ...]
    source: Source


@dataclass
class Buffer:
    """One trace buffer: the main one is named ""."""

    name: str
    clock: str
    page_size: int
    cpus: list[CpuData] = field(default_factory=list)
    is_text: bool = False
    numbers: set[int] = field(default_factory=set)
    """The CPUs that were listed."""

    @property
    def n_bytes(self) -> int:
        """The size of all its data, decompressed."""
        return sum(chunk.size for data in self.cpus for chunk in data.chunks)


def plain_chunks(start: int, size: int, page_size: int) -> tuple[Chunk, ...]:
    """Uncompressed data in pieces of about a MiB, whole pages each."""
    piece = max(page_size, (1 << 20) // page_size * page_size)
    return tuple(
        Chunk(start + at, min(piece, size - at), min(piece, size - at), False) for at in range(0, size, piece)
    )
