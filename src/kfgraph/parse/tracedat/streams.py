# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""Ring-buffer pages of one CPU, record by record; a hot loop in Cython's pure-Python mode (types: the .pxd).

A page: u64 timestamp, long commit (bytes used; bit 31: records were lost before this page; bit 30: how
many stands after the data), then records: a u32 of type_len (5 bits) and time delta (27 bits), and
data. Source: ring_buffer.c of Linux, kbuffer-parse.c of libtraceevent.

Everything in a page is aligned to 4 bytes, so pages are read as 32-bit words of the host's order;
whoever feeds a stream swaps them where the file's order is the other. The uncompiled module is the
slow, obvious twin: same file, same results; plain ints do not wrap, so widths are masked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled

_M32 = cython.declare(cython.ulonglong, 0xFFFFFFFF)
_M63 = cython.declare(cython.ulonglong, 0x7FFFFFFFFFFFFFFF)
_M64 = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_TOP5 = cython.declare(cython.ulonglong, 0xF800000000000000)
_GOLDEN = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
_COMMON = cython.declare(cython.int, 8)
"""common_type, common_flags, common_preempt_count, common_pid: what every record begins with."""


def _view(column: Any) -> Any:
    return memoryview(column)


class Codes:
    """Addresses numbered from 1 in the order of their first use: a hash table with open addressing."""

    def __init__(self) -> None:
        self.n = 0
        self.bits = 12
        self.last = self.last_code = 0
        self.order = _view(np.zeros(1 << 11, np.uint64))
        self.keys = _view(np.zeros(1 << 12, np.uint64))
        self.codes = _view(np.zeros(1 << 12, np.int32))

    def addresses(self) -> npt.NDArray[np.uint64]:
        """The address of code 1, 2, ..."""
        return np.array(self.order[: self.n], np.uint64)

    def code(self, address: cython.ulonglong) -> cython.int:
        """The address's number, given on first sight."""
        # A call without children: its exit comes right after its entry.
        if address == self.last and self.last_code:
            return self.last_code
        mask: cython.Py_ssize_t = (1 << self.bits) - 1
        at: cython.Py_ssize_t = (address * _GOLDEN & _M64) >> (64 - self.bits)
        while self.codes[at] != 0:
            if self.keys[at] == address:
                self.last = address
                self.last_code = self.codes[at]
                return self.last_code
            at = (at + 1) & mask
        if self.n >= self.order.shape[0]:
            self.grow()
            return self.code(address)
        self.order[self.n] = address
        self.n += 1
        self.keys[at] = address
        self.codes[at] = self.n
        return self.n

    def grow(self) -> cython.int:
        """Twice the room, everything entered anew."""
        known = self.addresses()
        self.n = self.last_code = 0
        self.bits += 1
        self.order = _view(np.zeros(2 * len(known), np.uint64))
        self.keys = _view(np.zeros(1 << self.bits, np.uint64))
        self.codes = _view(np.zeros(1 << self.bits, np.int32))
        i: cython.Py_ssize_t
        for i in range(known.shape[0]):
            self.code(int(known[i]))
        return 0


class Stream:
    """One CPU's pages: where its next record is, and when it was made.

    ``convert``: a function of the raw timestamp (guests), or None; then ``mult`` and ``shift`` (mult 0:
    the raw timestamp), then ``offset`` is added.
    """

    def __init__(
        self,
        cpu: int,
        *,
        big_endian: bool,
        page_size: int,
        header: int,
        offset: int = 0,
        mult: int = 0,
        shift: int = 0,
        convert: Callable[[int], int] | None = None,
    ) -> None:
        self.cpu = cpu
        self.big = big_endian
        self.page_size = page_size
        self.header = header
        self.offset = offset
        self.mult = mult
        self.shift = shift
        self.convert = convert
        self.is_raw = convert is None and not mult and not offset
        self.words = _view(np.empty(0, np.uint32))
        self.n_bytes = self.base = self.page = self.pos = self.end = 0
        self.clock = self.time = self.head = self.at = self.size = self.missed = 0
        self.n_bad = self.n_back = 0
        self.first_bad = self.first_back = -1
        self.stamp = 0
        self.any_page = False
        self.ready = False
        self.done = False

    def feed(self, words: Any, base: int) -> None:
        """Go on with the pages in ``words``, which begin at byte ``base`` of the CPU's data."""
        self.words = words
        self.n_bytes = len(words) * 4
        self.base = base
        self.page = self.pos = self.end = 0
        self.advance()

    def finish(self) -> None:
        """There are no more pages."""
        self.ready = False
        self.done = True

    def lose(self) -> None:
        """Records are missing here, nobody knows how many."""
        self.missed = -1

    def damage(self) -> tuple[int, int]:
        """How many pages made no sense, and where the first of them is in the CPU's data (-1: none)."""
        return self.n_bad, self.first_bad

    def went_back(self) -> tuple[int, int]:
        """How often a record is before the one that came before it, and where the first such is (-1: none)."""
        return self.n_back, self.first_back

    def load(self, at: cython.Py_ssize_t, size: cython.int) -> cython.ulonglong:
        """The unsigned number of ``size`` bytes at byte ``at`` of the pages at hand."""
        value: cython.ulonglong
        word: cython.ulonglong
        i: cython.int
        if at & 3 == 0:
            if size == 4:
                return self.words[at >> 2]
            if size == 8:
                value = self.words[at >> 2]
                word = self.words[(at >> 2) + 1]
                return value << 32 | word if self.big else word << 32 | value
        value = 0
        for i in range(size):
            word = self.words[(at + i) >> 2]
            word = word >> (24 - 8 * ((at + i) & 3) if self.big else 8 * ((at + i) & 3)) & 0xFF
            value = value << 8 | word if self.big else value | word << (8 * i)
        return value

    def spoil(self, at: cython.Py_ssize_t) -> cython.int:
        """The page makes no sense from ``at`` on: leave it."""
        if self.n_bad == 0:
            self.first_bad = self.base + at
        self.n_bad += 1
        self.missed = -1
        self.pos = self.end
        return 0

    def open_page(self) -> cython.int:
        """Enter the next page; False if there is none."""
        at: cython.Py_ssize_t = self.page
        room: cython.Py_ssize_t = min(self.page_size, self.n_bytes - at) - self.header
        if room < 0:
            return 0
        commit: cython.ulonglong = self.load(at + 8, self.header - 8)
        size: cython.Py_ssize_t = commit & 0x7FFFFFF
        lost: cython.longlong
        self.page += self.page_size
        if commit & 0x80000000:
            lost = -1
            if commit & 0x40000000 and size + self.header - 8 <= room:
                lost = self.load(at + self.header + size, self.header - 8) & _M32
                if lost == 0:
                    lost = -1
            if self.missed == 0 or lost < 0:
                self.missed = lost
            elif self.missed > 0:
                self.missed += lost
        self.pos = self.end = at + self.header
        stamp: cython.ulonglong = self.load(at, 8)
        if size > room or self.is_out_of_order(stamp):
            self.spoil(at)
            return 1
        self.clock = self.stamp = stamp
        self.any_page = True
        self.end += size
        return 1

    def is_out_of_order(self, stamp: cython.ulonglong) -> cython.bint:
        """Whether the pages before and after this one are in order and it is not: then its timestamp is damaged.

        With none before it, or none after it at hand, nobody can tell which of two is wrong: neither is.
        """
        following: cython.ulonglong
        if not self.any_page or self.page + self.header > self.n_bytes:
            return False
        following = self.load(self.page, 8)
        return self.stamp <= following and (stamp < self.stamp or stamp > following)

    def advance(self) -> cython.int:  # noqa: C901 (a hot loop: a call costs more than it does)
        """Go to the next record, through as many pages as it takes."""
        head: cython.uint
        kind: cython.uint
        delta: cython.ulonglong
        extend: cython.ulonglong
        pos: cython.Py_ssize_t
        size: cython.Py_ssize_t
        time: cython.longlong
        # Whether the clock may be behind the last record's: within a page the deltas of records only add up.
        jumped: cython.bint = False
        while True:
            pos = self.pos
            if pos >= self.end:
                if not self.open_page():
                    self.ready = False
                    return 0
                jumped = True
                continue
            if pos + 4 > self.end:
                self.spoil(pos)
                continue
            head = self.words[pos >> 2]
            if self.big:
                kind = head >> 27
                delta = head & 0x7FFFFFF
            else:
                kind = head & 31
                delta = head >> 5
            pos += 4
            if 0 < kind < 29:
                self.clock = (self.clock + delta) & _M64
                size = kind * 4
            else:
                if kind == 29 and delta == 0:
                    # The rest of the page was not used.
                    self.pos = self.end
                    continue
                if pos + 4 > self.end:
                    self.spoil(pos - 4)
                    continue
                extend = self.words[pos >> 2]
                if kind == 30 or kind == 31:
                    delta |= extend << 27
                    if kind == 30:
                        self.clock = (self.clock + delta) & _M64
                    else:
                        self.clock = (delta & ~_TOP5 & _M64) | (self.clock & _TOP5)
                    self.pos = pos + 4
                    jumped = True
                    continue
                self.clock = (self.clock + delta) & _M64
                if kind == 29:
                    # A record that was discarded.
                    if extend & 3 or pos + extend > self.end:
                        self.spoil(pos - 4)
                    else:
                        self.pos = pos + extend
                    continue
                pos += 4
                size = extend
                size = (size - 4 + 3) & ~3
            if size < _COMMON or pos + size > self.end:
                self.spoil(pos - 4)
                continue
            self.head = self.pos
            self.at = pos
            self.size = size
            self.pos = pos + size
            if self.is_raw and self.clock < _M63:
                time = self.clock
            else:
                # Conversions may go back at any record, and what has come as far as this may wrap.
                self.is_raw = False
                jumped = True
                time = self.converted()
            if jumped and time < self.time:
                if self.n_back == 0:
                    self.first_back = self.base + self.head
                self.n_back += 1
            self.time = time
            self.ready = True
            return 1

    def converted(self) -> cython.longlong:
        """The record's time: the page's clock converted."""
        time: cython.ulonglong = self.clock
        low: cython.ulonglong
        if self.convert is not None:
            time = self.convert(time)
        if self.mult:
            low = ((time & _M32) * self.mult & _M64) >> self.shift
            time = (low + (((time >> 32) * self.mult & _M64) << (32 - self.shift) & _M64)) & _M64
        # Bit 63 stays free for "unknown"; no clock has run for 292 years.
        time = (time + self.offset) & _M63
        return time if time < _M63 else _M63 - 1
