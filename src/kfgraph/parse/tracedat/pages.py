# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""Ring-buffer pages -> columns, all CPUs in time order; a hot loop in Cython's pure-Python mode (types: the .pxd).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.parse.records import RecordBatch
from kfgraph.parse.tracedat.streams import Codes, Stream

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled

# Literals, so that the compiled loop works on C integers; a test holds them to records.
_ENTRY = cython.declare(cython.int, 0)
_EXIT = cython.declare(cython.int, 1)
_MARK = cython.declare(cython.int, 3)
_LOSS = cython.declare(cython.int, 4)
_RETADDR = cython.declare(cython.int, 5)
"""Route of an entry that carries its return address (no RecordBatch.kind)."""
_NEVER = cython.declare(cython.longlong, 0x7FFFFFFFFFFFFFFF)
"""Later than every record: the time of a stream that has none at hand."""
_M62 = cython.declare(cython.ulonglong, 0x3FFFFFFFFFFFFFFF)
"""Of calltimes and durations: their sums fit into 63 bits, and no clock has run for 146 years."""
_M63 = cython.declare(cython.ulonglong, 0x7FFFFFFFFFFFFFFF)
_M64 = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_LAYOUT_WIDTH = cython.declare(cython.int, 16)
_PLAIN_WIDTH = cython.declare(cython.int, 5)
_MAX_ARGS = cython.declare(cython.int, 32)


def _view(column: Any) -> Any:
    # The plain loop reads memoryviews: their items are Python ints, which numpy's are not.
    return memoryview(column)


def _signed(value: cython.ulonglong) -> cython.longlong:
    """The same 64 bits as a signed number."""
    below: cython.longlong
    if value > _M63:
        below = _M64 - value
        return -below - 1
    return value


def _plain(layout: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Per kind of funcgraph record: from which size on it has func, depth, calltime and rettime, each in whole
    words of 32 bits, and the words where they begin (a size that no record has, if it is not laid out so).
    """
    plain = np.full((len(layout), _PLAIN_WIDTH), np.iinfo(np.int32).max, np.int32)
    for kind, fields in enumerate(layout.reshape(len(layout), -1, 2)):
        sizes = [8, 4, 8, 8][: 4 if kind == _EXIT else 2]
        places = fields[: len(sizes)]
        if (places[:, 0] >= 0).all() and (places[:, 0] % 4 == 0).all() and (places[:, 1] == sizes).all():
            plain[kind, 0] = places.sum(axis=1).max()
            plain[kind, 1:] = fields[:4, 0] // 4
    return plain


class Decoder:
    """Merges streams by time (on equal times the lower CPU first, as trace-cmd does) into batches.

    ``routes[type]`` says what a record of that common_type is: -1 - kind for the funcgraph events (kind
    5: an entry with return address), else the mark's name index. ``layout[kind]`` holds offset and
    size of func, depth, calltime, rettime, retval, overrun, retaddr, args (offset -1: not there).
    ``calltime_offset`` is added to calltimes.
    """

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
        self.streams = streams
        self.times = _view(np.full(len(streams), np.iinfo(np.int64).max))
        self.routes = _view(routes)
        self.layout = _view(layout.ravel())
        self.plain = _view(_plain(layout).ravel())
        self.big = big_endian
        self.long_size = long_size
        self.calltime_offset = calltime_offset
        self.function_codes = Codes()
        self.caller_codes = Codes()
        self.values = _view(np.empty(256, np.uint64))
        self.n_values = 0
        self.places = _view(np.empty(256, np.int64))
        self.n_places = 0

    def functions(self) -> npt.NDArray[np.uint64]:
        """Addresses of the function codes 1, 2, ..."""
        return self.function_codes.addresses()

    def callers(self) -> npt.NDArray[np.uint64]:
        """Return addresses of the caller codes 1, 2, ..."""
        return self.caller_codes.addresses()

    def argument_values(self) -> npt.NDArray[np.uint64]:
        """Arguments, one call's after another's: how many, then each. ``RecordBatch.arg`` is a position here."""
        return np.asarray(self.values)[: self.n_values]

    def mark_places(self) -> npt.NDArray[np.int64]:
        """Where each mark's record begins: index of its stream << 48 | byte in that CPU's data."""
        return np.asarray(self.places)[: self.n_places]

    def earliest(self, but: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The stream with the earliest record, apart from stream ``but``; -1 if none has any."""
        best: cython.Py_ssize_t = -1
        i: cython.Py_ssize_t
        time: cython.longlong = _NEVER
        for i in range(self.times.shape[0]):
            if self.times[i] < time and i != but:
                best = i
                time = self.times[i]
        return best

    def holds(self, place: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
        """Whether a record of ``size`` bytes has the field that the layout tells at ``place``."""
        return self.layout[place] >= 0 and self.layout[place] + self.layout[place + 1] <= size

    def field(self, stream: Stream, place: cython.Py_ssize_t) -> cython.ulonglong:
        """The field that the layout tells at ``place``, of the stream's record."""
        return stream.load(stream.at + self.layout[place], self.layout[place + 1])

    def take_args(self, stream: Stream, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Keep the arguments that stand in [at, end) of the stream's pages; their position."""
        start: cython.Py_ssize_t = self.n_values
        count: cython.Py_ssize_t = min((end - at) // self.long_size, _MAX_ARGS)
        i: cython.Py_ssize_t
        if start + count + 1 > self.values.shape[0]:
            grown = np.empty(2 * self.values.shape[0], np.uint64)
            grown[:start] = self.values[:start]
            self.values = _view(grown)
        self.values[start] = count
        for i in range(count):
            self.values[start + 1 + i] = stream.load(at + i * self.long_size, self.long_size)
        self.n_values = start + 1 + count
        return start

    def place(self, place: cython.longlong) -> cython.int:
        """Note where a mark's record is."""
        if self.n_places >= self.places.shape[0]:
            grown = np.empty(2 * self.places.shape[0], np.int64)
            grown[: self.n_places] = self.places
            self.places = _view(grown)
        self.places[self.n_places] = place
        self.n_places += 1
        return 0

    def target(self, batch: RecordBatch, raw: RawColumns | None = None) -> None:
        """Fill ``batch`` from now on, and ``raw`` if there is one."""
        self.kind = _view(batch.kind)
        self.func = _view(batch.func)
        self.pid = _view(batch.pid)
        self.cpu = _view(batch.cpu)
        self.time = _view(batch.time)
        self.depth = _view(batch.depth)
        self.context = _view(batch.context)
        self.duration = _view(batch.duration)
        self.calltime = _view(batch.calltime)
        self.retval = _view(np.empty(0, np.int64) if batch.retval is None else batch.retval)
        self.caller = _view(np.empty(0, np.int32) if batch.caller is None else batch.caller)
        self.arg = _view(np.empty(0, np.int32) if batch.arg is None else batch.arg)
        self.raw_flags = _view(np.empty(0, np.uint8) if raw is None else raw.flags)
        self.raw_overrun = _view(np.empty(0, np.uint64) if raw is None else raw.overrun)
        self.raw_rettime = _view(np.empty(0, np.uint64) if raw is None else raw.rettime)

    def fill(self, n: cython.Py_ssize_t) -> tuple[int, int]:  # noqa: C901 (a hot loop: a call costs more than it does)
        """Rows of the target from row ``n`` on, until it is full or a stream needs more pages.

        Returns (rows in the batch now, index of the stream to feed or finish; -1: the batch is full;
        -2: all streams are done).
        """
        c_kind: cython.uchar[::1] = self.kind
        c_func: cython.int[::1] = self.func
        c_pid: cython.int[::1] = self.pid
        c_cpu: cython.short[::1] = self.cpu
        c_time: cython.longlong[::1] = self.time
        c_depth: cython.short[::1] = self.depth
        c_context: cython.uchar[::1] = self.context
        c_duration: cython.longlong[::1] = self.duration
        c_calltime: cython.longlong[::1] = self.calltime
        c_retval: cython.longlong[::1] = self.retval
        c_caller: cython.int[::1] = self.caller
        c_arg: cython.int[::1] = self.arg
        r_flags: cython.uchar[::1] = self.raw_flags
        r_overrun: cython.ulonglong[::1] = self.raw_overrun
        r_rettime: cython.ulonglong[::1] = self.raw_rettime
        room: cython.Py_ssize_t = c_kind.shape[0] - 1
        has_retval: cython.bint = c_retval.shape[0] > 0
        has_caller: cython.bint = c_caller.shape[0] > 0
        has_arg: cython.bint = c_arg.shape[0] > 0
        has_raw: cython.bint = r_flags.shape[0] > 0
        big: cython.bint = self.big
        # Where the halves of a 64-bit number stand.
        high: cython.int = 0 if big else 1
        low: cython.int = 1 if big else 0
        calltime_offset: cython.longlong = self.calltime_offset
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
        p: cython.Py_ssize_t
        w: cython.Py_ssize_t
        has_times: cython.bint
        stream: Stream
        functions: Codes = self.function_codes
        callers: Codes = self.caller_codes
        routes: cython.int[::1] = self.routes
        layout: cython.int[::1] = self.layout
        plain: cython.int[::1] = self.plain

        for i in range(len(self.streams)):
            stream = self.streams[i]
            if not stream.ready and not stream.done:
                return n, i
            self.times[i] = stream.time if stream.ready else _NEVER
            if stream.missed and n < room:
                n += self.lose(stream, n)
        while n < room:
            best = self.earliest(-1)
            if best < 0:
                # What was lost at the very end has no record after it.
                for i in range(len(self.streams)):
                    stream = self.streams[i]
                    if stream.missed and n < room:
                        n += self.lose(stream, n)
                return n, -2 if n < room else -1
            stream = self.streams[best]
            other = self.earliest(best)
            # Up to and with this time the stream stays the earliest.
            limit = _NEVER if other < 0 else self.times[other] if best < other else self.times[other] - 1
            while n < room:
                if stream.missed:
                    n += self.lose(stream, n)
                at = stream.at
                size = stream.size
                word = stream.words[at >> 2]
                if big:
                    route = routes[word >> 16]
                    flags = word >> 8 & 0xFF
                else:
                    route = routes[word & 0xFFFF]
                    flags = word >> 16 & 0xFF
                value = stream.words[(at >> 2) + 1]
                c_pid[n] = value if value <= 0x7FFFFFFF else -1
                c_cpu[n] = stream.cpu
                c_time[n] = stream.time
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
                    self.place(best << 48 | (stream.base + stream.head))
                else:
                    kind = -1 - route
                    f = kind * _LAYOUT_WIDTH
                    p = kind * _PLAIN_WIDTH
                    c_kind[n] = _EXIT if kind == _EXIT else _ENTRY
                    c_func[n] = 0
                    c_depth[n] = -1
                    c_duration[n] = c_calltime[n] = -1
                    has_times = kind == _EXIT
                    if size >= plain[p]:
                        # As every 64-bit kernel lays it out.
                        w = at >> 2
                        called = stream.words[w + plain[p + 1] + high]
                        c_func[n] = functions.code(called << 32 | stream.words[w + plain[p + 1] + low])
                        value = stream.words[w + plain[p + 2]]
                        if value <= 0x7FFF:
                            c_depth[n] = value
                        if has_times:
                            called = stream.words[w + plain[p + 3] + high]
                            called = called << 32 | stream.words[w + plain[p + 3] + low]
                            value = stream.words[w + plain[p + 4] + high]
                            value = value << 32 | stream.words[w + plain[p + 4] + low]
                    else:
                        if self.holds(f, size):
                            c_func[n] = functions.code(self.field(stream, f))
                        if self.holds(f + 2, size):
                            value = self.field(stream, f + 2)
                            if value <= 0x7FFF:
                                c_depth[n] = value
                        has_times = has_times and self.holds(f + 4, size) and self.holds(f + 6, size)
                        if has_times:
                            called = self.field(stream, f + 4)
                            value = self.field(stream, f + 6)
                    if kind == _EXIT:
                        if has_times:
                            if has_raw:
                                r_rettime[n] = value
                            c_calltime[n] = (called + calltime_offset) & _M62
                            # A task that slept may wake on a CPU whose clock is behind.
                            value = (value - called) & _M64
                            if value <= _M62:
                                c_duration[n] = value
                        if has_retval:
                            c_retval[n] = _signed(self.field(stream, f + 8)) if self.holds(f + 8, size) else 0
                        if has_arg:
                            c_arg[n] = -1
                        if has_raw:
                            r_overrun[n] = self.field(stream, f + 10) if self.holds(f + 10, size) else 0
                    else:
                        if has_caller:
                            c_caller[n] = 0
                            if self.holds(f + 12, size):
                                c_caller[n] = callers.code(self.field(stream, f + 12))
                        if has_arg:
                            c_arg[n] = -1
                            if layout[f + 14] >= 0 and layout[f + 14] + self.long_size <= size:
                                c_arg[n] = self.take_args(stream, at + layout[f + 14], at + size)
                n += 1
                stream.advance()
                if not stream.ready:
                    return n, best
                if stream.missed and n < room:
                    # At once: what a task does on other CPUs in the gap tells nothing of what it did before it.
                    n += self.lose(stream, n)
                if stream.time > limit:
                    self.times[best] = stream.time
                    break
        return n, -1

    def lose(self, stream: Stream, n: cython.Py_ssize_t) -> cython.int:
        """Row ``n`` is where records of the stream's CPU were lost. One row."""
        self.kind[n] = _LOSS
        self.cpu[n] = stream.cpu
        self.duration[n] = stream.missed
        self.time[n] = self.func[n] = self.pid[n] = -1
        stream.missed = 0
        return 1


class RawColumns:
    """What a record holds beyond RecordBatch, for :func:`kfgraph.parse.tracedat.records`."""

    def __init__(self, size: int) -> None:
        self.flags = np.empty(size, np.uint8)
        self.overrun = np.empty(size, np.uint64)
        self.rettime = np.empty(size, np.uint64)
