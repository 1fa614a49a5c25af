# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3
"""Ring-buffer pages -> columns, all CPUs in time order; a hot loop in Cython's pure-Python mode.

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

from kfgraph.parse.records import RecordBatch

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython  # type: ignore[no-redef]

COMPILED: bool = cython.compiled

# Literals, so that the compiled loop works on C integers; a test holds them to records.
_ENTRY = cython.declare(cython.int, 0)
_EXIT = cython.declare(cython.int, 1)
_MARK = cython.declare(cython.int, 3)
_LOSS = cython.declare(cython.int, 4)
_RETADDR = cython.declare(cython.int, 5)
"""Route of an entry that carries its return address (no RecordBatch.kind)."""
_HEAD = cython.declare(cython.int, 0)
_HUNGRY = cython.declare(cython.int, 1)
_DONE = cython.declare(cython.int, 2)
_M32 = cython.declare(cython.ulonglong, 0xFFFFFFFF)
_M63 = cython.declare(cython.ulonglong, 0x7FFFFFFFFFFFFFFF)
_M64 = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_TOP5 = cython.declare(cython.ulonglong, 0xF800000000000000)
_GOLDEN = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
_LAYOUT_WIDTH = cython.declare(cython.int, 16)
_MAX_ARGS = cython.declare(cython.int, 32)
_COMMON = cython.declare(cython.int, 8)
"""common_type, common_flags, common_preempt_count, common_pid: what every record begins with."""


@cython.cfunc
def _load(
    words: cython.const[cython.uint][::1], at: cython.Py_ssize_t, size: cython.int, big: cython.bint
) -> cython.ulonglong:
    """The unsigned number of ``size`` bytes at byte ``at``."""
    value: cython.ulonglong
    word: cython.ulonglong
    i: cython.int
    if at & 3 == 0:
        if size == 4:
            return words[at >> 2]
        if size == 8:
            value = words[at >> 2]
            word = words[(at >> 2) + 1]
            return value << 32 | word if big else word << 32 | value
    value = 0
    for i in range(size):
        word = words[(at + i) >> 2]
        word = word >> (24 - 8 * ((at + i) & 3) if big else 8 * ((at + i) & 3)) & 0xFF
        value = value << 8 | word if big else value | word << (8 * i)
    return value


@cython.cfunc
def _holds(layout: cython.int[::1], place: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
    """Whether a record of ``size`` bytes has the field that the layout tells at ``place``."""
    return layout[place] >= 0 and layout[place] + layout[place + 1] <= size


@cython.cfunc
def _signed(value: cython.ulonglong) -> cython.longlong:
    """The same 64 bits as a signed number."""
    below: cython.longlong
    if value > _M63:
        below = _M64 - value
        return -below - 1
    return value


@cython.final
@cython.cclass
class Codes:
    """Addresses numbered from 1 in the order of their first use: a hash table with open addressing."""

    _keys: cython.ulonglong[::1]
    _codes: cython.int[::1]
    _order: cython.ulonglong[::1]
    _n: cython.int
    _bits: cython.int

    def __init__(self) -> None:
        self._n = 0
        self._bits = 12
        self._order = memoryview(np.zeros(1 << 11, np.uint64))
        self._keys = memoryview(np.zeros(1 << 12, np.uint64))
        self._codes = memoryview(np.zeros(1 << 12, np.int32))

    def addresses(self) -> npt.NDArray[np.uint64]:
        """The address of code 1, 2, ..."""
        return np.array(self._order[: self._n], np.uint64)

    @cython.cfunc
    def code(self, address: cython.ulonglong) -> cython.int:
        """The address's number, given on first sight."""
        mask: cython.Py_ssize_t = (1 << self._bits) - 1
        at: cython.Py_ssize_t = (address * _GOLDEN & _M64) >> (64 - self._bits)
        while self._codes[at] != 0:
            if self._keys[at] == address:
                return self._codes[at]
            at = (at + 1) & mask
        if self._n >= self._order.shape[0]:
            self._grow()
            return self.code(address)
        self._order[self._n] = address
        self._n += 1
        self._keys[at] = address
        self._codes[at] = self._n
        return self._n

    @cython.cfunc
    def _grow(self) -> cython.int:
        """Twice the room, everything entered anew."""
        known = self.addresses()
        self._n = 0
        self._bits += 1
        self._order = memoryview(np.zeros(2 * len(known), np.uint64))
        self._keys = memoryview(np.zeros(1 << self._bits, np.uint64))
        self._codes = memoryview(np.zeros(1 << self._bits, np.int32))
        i: cython.Py_ssize_t
        for i in range(known.shape[0]):
            self.code(int(known[i]))
        return 0


@cython.final
@cython.cclass
class Stream:
    """One CPU's pages: where its next record is, and when it was made.

    ``convert``: a function of the raw timestamp (guests), or None; then ``mult`` and ``shift`` (mult 0:
    the raw timestamp), then ``offset`` is added.
    """

    _cpu: cython.int
    _big: cython.bint
    _page_size: cython.Py_ssize_t
    _header: cython.Py_ssize_t
    _convert: object
    _mult: cython.ulonglong
    _shift: cython.int
    _offset: cython.longlong
    _words: cython.const[cython.uint][::1]
    _n_bytes: cython.Py_ssize_t
    _base: cython.longlong
    _page: cython.Py_ssize_t
    _pos: cython.Py_ssize_t
    _end: cython.Py_ssize_t
    _clock: cython.ulonglong
    _state: cython.int
    _time: cython.longlong
    _head: cython.Py_ssize_t
    _at: cython.Py_ssize_t
    _size: cython.Py_ssize_t
    _missed: cython.longlong
    _n_bad: cython.longlong
    _first_bad: cython.longlong

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
        self._cpu = cpu
        self._big = big_endian
        self._page_size = page_size
        self._header = header
        self._offset = offset
        self._mult = mult
        self._shift = shift
        self._convert = convert
        self._words = memoryview(np.empty(0, np.uint32))
        self._n_bytes = self._base = self._page = self._pos = self._end = 0
        self._clock = self._time = self._head = self._at = self._size = self._missed = 0
        self._n_bad = 0
        self._first_bad = -1
        self._state = _HUNGRY

    def feed(self, words: Any, base: int) -> None:
        """Go on with the pages in ``words``, which begin at byte ``base`` of the CPU's data."""
        self._words = words
        self._n_bytes = len(words) * 4
        self._base = base
        self._page = self._pos = self._end = 0
        self._advance()

    def finish(self) -> None:
        """There are no more pages."""
        self._state = _DONE

    def lose(self) -> None:
        """Records are missing here, nobody knows how many."""
        self._missed = -1

    def damage(self) -> tuple[int, int]:
        """How many pages made no sense, and where the first of them is in the CPU's data (-1: none)."""
        return self._n_bad, self._first_bad

    @cython.cfunc
    def _spoil(self, at: cython.Py_ssize_t) -> cython.int:
        """The page makes no sense from ``at`` on: leave it."""
        if self._n_bad == 0:
            self._first_bad = self._base + at
        self._n_bad += 1
        self._missed = -1
        self._pos = self._end
        return 0

    @cython.cfunc
    def _open_page(self) -> cython.int:
        """Enter the next page; False if there is none."""
        at: cython.Py_ssize_t = self._page
        room: cython.Py_ssize_t = min(self._page_size, self._n_bytes - at) - self._header
        if room < 0:
            return 0
        commit: cython.ulonglong = _load(self._words, at + 8, self._header - 8, self._big)
        size: cython.Py_ssize_t = commit & 0x7FFFFFF
        lost: cython.longlong
        self._page += self._page_size
        if commit & 0x80000000:
            lost = -1
            if commit & 0x40000000 and size + self._header - 8 <= room:
                lost = _load(self._words, at + self._header + size, self._header - 8, self._big) & _M32
                if lost == 0:
                    lost = -1
            if self._missed == 0 or lost < 0:
                self._missed = lost
            elif self._missed > 0:
                self._missed += lost
        self._pos = self._end = at + self._header
        if size > room:
            self._spoil(at)
            return 1
        self._clock = _load(self._words, at, 8, self._big)
        self._end += size
        return 1

    @cython.cfunc
    def _advance(self) -> cython.int:
        """Go to the next record, through as many pages as it takes."""
        head: cython.uint
        kind: cython.uint
        delta: cython.ulonglong
        extend: cython.ulonglong
        pos: cython.Py_ssize_t
        size: cython.Py_ssize_t
        while True:
            pos = self._pos
            if pos >= self._end:
                if not self._open_page():
                    self._state = _HUNGRY
                    return 0
                continue
            if pos + 4 > self._end:
                self._spoil(pos)
                continue
            head = self._words[pos >> 2]
            if self._big:
                kind = head >> 27
                delta = head & 0x7FFFFFF
            else:
                kind = head & 31
                delta = head >> 5
            pos += 4
            if 0 < kind < 29:
                self._clock = (self._clock + delta) & _M64
                size = kind * 4
            else:
                if kind == 29 and delta == 0:
                    # The rest of the page was not used.
                    self._pos = self._end
                    continue
                if pos + 4 > self._end:
                    self._spoil(pos - 4)
                    continue
                extend = self._words[pos >> 2]
                if kind == 30 or kind == 31:
                    delta |= extend << 27
                    if kind == 30:
                        self._clock = (self._clock + delta) & _M64
                    else:
                        self._clock = (delta & ~_TOP5 & _M64) | (self._clock & _TOP5)
                    self._pos = pos + 4
                    continue
                self._clock = (self._clock + delta) & _M64
                if kind == 29:
                    # A record that was discarded.
                    if extend & 3 or pos + extend > self._end:
                        self._spoil(pos - 4)
                    else:
                        self._pos = pos + extend
                    continue
                pos += 4
                size = extend
                size = (size - 4 + 3) & ~3
            if size < _COMMON or pos + size > self._end:
                self._spoil(pos - 4)
                continue
            self._head = self._pos
            self._at = pos
            self._size = size
            self._pos = pos + size
            self._time = self._converted()
            self._state = _HEAD
            return 1

    @cython.cfunc
    def _converted(self) -> cython.longlong:
        """The record's time: the page's clock converted."""
        time: cython.ulonglong = self._clock
        low: cython.ulonglong
        if self._convert is not None:
            time = self._convert(time)
        if self._mult:
            low = ((time & _M32) * self._mult & _M64) >> self._shift
            time = (low + (((time >> 32) * self._mult & _M64) << (32 - self._shift) & _M64)) & _M64
        # Bit 63 stays free for "unknown"; no clock has run for 292 years.
        return (time + self._offset) & _M63


@cython.final
@cython.cclass
class Decoder:
    """Merges streams by time (on equal times the lower CPU first, as trace-cmd does) into batches.

    ``routes[type]`` says what a record of that common_type is: -1 - kind for the funcgraph events (kind
    5: an entry with return address), else the mark's name index. ``layout[kind]`` holds offset and
    size of func, depth, calltime, rettime, retval, overrun, retaddr, args (offset -1: not there).
    ``calltime_offset`` is added to calltimes. ``raw``: fill also ``Decoder.raw_columns``.
    """

    _streams: list
    _big: cython.bint
    _routes: cython.int[::1]
    _layout: cython.int[::1]
    _long: cython.int
    _calltime_offset: cython.longlong
    _functions: Codes
    _callers: Codes
    _values: cython.ulonglong[::1]
    _n_values: cython.Py_ssize_t
    _places: cython.longlong[::1]
    _n_places: cython.Py_ssize_t
    _kind: cython.uchar[::1]
    _func: cython.int[::1]
    _pid: cython.int[::1]
    _cpu: cython.short[::1]
    _time: cython.longlong[::1]
    _depth: cython.short[::1]
    _context: cython.uchar[::1]
    _duration: cython.longlong[::1]
    _calltime: cython.longlong[::1]
    _retval: cython.longlong[::1]
    _caller: cython.int[::1]
    _arg: cython.int[::1]
    _raw_flags: cython.uchar[::1]
    _raw_overrun: cython.ulonglong[::1]
    _raw_rettime: cython.ulonglong[::1]

    def __init__(
        self,
        streams: list[Stream],
        *,
        routes: npt.NDArray[np.int32],
        layout: npt.NDArray[np.int32],
        big_endian: bool,
        long_size: int,
        calltime_offset: int = 0,
    ) -> None:
        self._streams = streams
        self._routes = memoryview(routes)
        self._layout = memoryview(layout.ravel())
        self._big = big_endian
        self._long = long_size
        self._calltime_offset = calltime_offset
        self._functions = Codes()
        self._callers = Codes()
        self._values = memoryview(np.empty(256, np.uint64))
        self._n_values = 0
        self._places = memoryview(np.empty(256, np.int64))
        self._n_places = 0

    def functions(self) -> npt.NDArray[np.uint64]:
        """Addresses of the function codes 1, 2, ..."""
        return self._functions.addresses()

    def callers(self) -> npt.NDArray[np.uint64]:
        """Return addresses of the caller codes 1, 2, ..."""
        return self._callers.addresses()

    def argument_values(self) -> npt.NDArray[np.uint64]:
        """Arguments, one call's after another's: how many, then each. ``RecordBatch.arg`` is a position here."""
        return np.asarray(self._values)[: self._n_values]

    def mark_places(self) -> npt.NDArray[np.int64]:
        """Where each mark's record begins: index of its stream << 48 | byte in that CPU's data."""
        return np.asarray(self._places)[: self._n_places]

    @cython.cfunc
    def _earliest(self, but: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The stream with the earliest record, apart from stream ``but``; -1 if none has any."""
        best: cython.Py_ssize_t = -1
        i: cython.Py_ssize_t
        time: cython.longlong = 0
        stream: Stream
        for i in range(len(self._streams)):
            stream = self._streams[i]
            if i != but and stream._state == _HEAD and (best < 0 or stream._time < time):
                best = i
                time = stream._time
        return best

    @cython.cfunc
    def _take_args(
        self, words: cython.const[cython.uint][::1], at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Keep the arguments that stand in [at, end); their position."""
        start: cython.Py_ssize_t = self._n_values
        count: cython.Py_ssize_t = min((end - at) // self._long, _MAX_ARGS)
        i: cython.Py_ssize_t
        if start + count + 1 > self._values.shape[0]:
            grown = np.empty(2 * self._values.shape[0], np.uint64)
            grown[:start] = self._values[:start]
            self._values = memoryview(grown)
        self._values[start] = count
        for i in range(count):
            self._values[start + 1 + i] = _load(words, at + i * self._long, self._long, self._big)
        self._n_values = start + 1 + count
        return start

    @cython.cfunc
    def _place(self, place: cython.longlong) -> cython.int:
        """Note where a mark's record is."""
        if self._n_places >= self._places.shape[0]:
            grown = np.empty(2 * self._places.shape[0], np.int64)
            grown[: self._n_places] = self._places
            self._places = memoryview(grown)
        self._places[self._n_places] = place
        self._n_places += 1
        return 0

    def target(self, batch: RecordBatch, raw: RawColumns | None = None) -> None:
        """Fill ``batch`` from now on, and ``raw`` if there is one."""
        self._kind = memoryview(batch.kind)
        self._func = memoryview(batch.func)
        self._pid = memoryview(batch.pid)
        self._cpu = memoryview(batch.cpu)
        self._time = memoryview(batch.time)
        self._depth = memoryview(batch.depth)
        self._context = memoryview(batch.context)
        self._duration = memoryview(batch.duration)
        self._calltime = memoryview(batch.calltime)
        self._retval = memoryview(np.empty(0, np.int64) if batch.retval is None else batch.retval)
        self._caller = memoryview(np.empty(0, np.int32) if batch.caller is None else batch.caller)
        self._arg = memoryview(np.empty(0, np.int32) if batch.arg is None else batch.arg)
        self._raw_flags = memoryview(np.empty(0, np.uint8) if raw is None else raw.flags)
        self._raw_overrun = memoryview(np.empty(0, np.uint64) if raw is None else raw.overrun)
        self._raw_rettime = memoryview(np.empty(0, np.uint64) if raw is None else raw.rettime)

    def fill(self, n: cython.Py_ssize_t) -> tuple[int, int]:
        """Rows of the target from row ``n`` on, until it is full or a stream needs more pages.

        Returns (rows in the batch now, index of the stream to feed or finish; -1: the batch is full;
        -2: all streams are done).
        """
        c_kind: cython.uchar[::1] = self._kind
        c_func: cython.int[::1] = self._func
        c_pid: cython.int[::1] = self._pid
        c_cpu: cython.short[::1] = self._cpu
        c_time: cython.longlong[::1] = self._time
        c_depth: cython.short[::1] = self._depth
        c_context: cython.uchar[::1] = self._context
        c_duration: cython.longlong[::1] = self._duration
        c_calltime: cython.longlong[::1] = self._calltime
        c_retval: cython.longlong[::1] = self._retval
        c_caller: cython.int[::1] = self._caller
        c_arg: cython.int[::1] = self._arg
        r_flags: cython.uchar[::1] = self._raw_flags
        r_overrun: cython.ulonglong[::1] = self._raw_overrun
        r_rettime: cython.ulonglong[::1] = self._raw_rettime
        room: cython.Py_ssize_t = c_kind.shape[0] - 1
        has_retval: cython.bint = c_retval.shape[0] > 0
        has_caller: cython.bint = c_caller.shape[0] > 0
        has_arg: cython.bint = c_arg.shape[0] > 0
        has_raw: cython.bint = r_flags.shape[0] > 0
        big: cython.bint = self._big
        i: cython.Py_ssize_t
        best: cython.Py_ssize_t
        other: cython.Py_ssize_t
        at: cython.Py_ssize_t
        size: cython.Py_ssize_t
        word: cython.uint
        flags: cython.uint
        kind: cython.int
        route: cython.int
        value: cython.ulonglong
        called: cython.ulonglong
        limit: cython.longlong = 0
        f: cython.Py_ssize_t
        words: cython.const[cython.uint][::1]
        stream: Stream
        rival: Stream
        functions: Codes = self._functions
        callers: Codes = self._callers
        routes: cython.int[::1] = self._routes
        layout: cython.int[::1] = self._layout

        for i in range(len(self._streams)):
            stream = self._streams[i]
            if stream._state == _HUNGRY:
                return n, i
        while n < room:
            best = self._earliest(-1)
            if best < 0:
                # What was lost at the very end has no record after it.
                for i in range(len(self._streams)):
                    stream = self._streams[i]
                    if stream._missed and n < room:
                        c_kind[n] = _LOSS
                        c_cpu[n] = stream._cpu
                        c_duration[n] = stream._missed
                        c_time[n] = c_func[n] = c_pid[n] = -1
                        stream._missed = 0
                        n += 1
                return n, -2 if n < room else -1
            stream = self._streams[best]
            words = stream._words
            other = self._earliest(best)
            if other >= 0:
                rival = self._streams[other]
                # Up to and with this time the stream stays the earliest.
                limit = rival._time if best < other else rival._time - 1
            while n < room:
                if stream._missed:
                    c_kind[n] = _LOSS
                    c_cpu[n] = stream._cpu
                    c_duration[n] = stream._missed
                    c_time[n] = c_func[n] = c_pid[n] = -1
                    stream._missed = 0
                    n += 1
                at = stream._at
                size = stream._size
                word = words[at >> 2]
                if big:
                    route = routes[word >> 16]
                    flags = word >> 8 & 0xFF
                else:
                    route = routes[word & 0xFFFF]
                    flags = word >> 16 & 0xFF
                value = words[(at >> 2) + 1]
                c_pid[n] = value if value <= 0x7FFFFFFF else -1
                c_cpu[n] = stream._cpu
                c_time[n] = stream._time
                if flags & 0x58:
                    c_context[n] = 3 if flags & 0x40 else 2 if flags & 0x08 else 1
                else:
                    c_context[n] = 0
                if has_raw:
                    r_flags[n] = flags
                if route >= 0:
                    c_kind[n] = _MARK
                    c_func[n] = route
                    c_depth[n] = -1
                    c_duration[n] = c_calltime[n] = -1
                    self._place(best << 48 | (stream._base + stream._head))
                else:
                    kind = -1 - route
                    f = kind * _LAYOUT_WIDTH
                    c_kind[n] = _EXIT if kind == _EXIT else _ENTRY
                    c_func[n] = 0
                    if _holds(layout, f, size):
                        c_func[n] = functions.code(_load(words, at + layout[f], layout[f + 1], big))
                    c_depth[n] = -1
                    if _holds(layout, f + 2, size):
                        value = _load(words, at + layout[f + 2], layout[f + 3], big)
                        if value <= 0x7FFF:
                            c_depth[n] = value
                    c_duration[n] = c_calltime[n] = -1
                    if kind == _EXIT:
                        if _holds(layout, f + 4, size) and _holds(layout, f + 6, size):
                            called = _load(words, at + layout[f + 4], layout[f + 5], big)
                            value = _load(words, at + layout[f + 6], layout[f + 7], big)
                            if has_raw:
                                r_rettime[n] = value
                            c_calltime[n] = (called + self._calltime_offset) & _M63
                            # A task that slept may wake on a CPU whose clock is behind.
                            value = (value - called) & _M64
                            if value <= _M63:
                                c_duration[n] = value
                        if has_retval:
                            c_retval[n] = 0
                            if _holds(layout, f + 8, size):
                                c_retval[n] = _signed(_load(words, at + layout[f + 8], layout[f + 9], big))
                        if has_raw:
                            r_overrun[n] = 0
                            if _holds(layout, f + 10, size):
                                r_overrun[n] = _load(words, at + layout[f + 10], layout[f + 11], big)
                    else:
                        if has_caller:
                            c_caller[n] = 0
                            if _holds(layout, f + 12, size):
                                c_caller[n] = callers.code(_load(words, at + layout[f + 12], layout[f + 13], big))
                        if has_arg:
                            c_arg[n] = -1
                            if layout[f + 14] >= 0 and layout[f + 14] + self._long <= size:
                                c_arg[n] = self._take_args(words, at + layout[f + 14], at + size)
                n += 1
                stream._advance()
                if stream._state != _HEAD:
                    return n, best
                if other >= 0 and stream._time > limit:
                    break
        return n, -1


class RawColumns:
    """What a record holds beyond RecordBatch, for :func:`kfgraph.parse.tracedat.records`."""

    def __init__(self, size: int) -> None:
        self.flags = np.empty(size, np.uint8)
        self.overrun = np.empty(size, np.uint64)
        self.rettime = np.empty(size, np.uint64)
