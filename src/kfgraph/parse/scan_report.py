# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""Lines of ``trace-cmd report``, pretty (3.1 to 3.4), with ``-N`` and ``-R``, with and without ``-l`` and ``-t``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kfgraph.parse.records import RecordBatch
from kfgraph.parse.scan import BATCH, Scanner

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled

# Literals, so that the compiled loop works on C integers; a test holds them to records.
_ENTRY = cython.declare(cython.int, 0)
_EXIT = cython.declare(cython.int, 1)
_UNKNOWN_CONTEXT = cython.declare(cython.int, 255)
_MAX_DEPTH = cython.declare(cython.int, 32767)


class ReportScanner(Scanner):
    """``trace-cmd report`` text. ``first_time``: see ``raw_flags``.

    Of a file with several buffers, or several files, each line begins with the buffer's name, the main
    one's with as many blanks (``width``, found out if 0): only the lines of ``buffer`` are taken, and
    ``others`` counts the rest by name.
    """

    def __init__(
        self,
        sink: Callable[[RecordBatch, int], None],
        *,
        size: int = BATCH,
        first_time: int = -1,
        buffer: bytes = b"",
        width: int = 0,
    ) -> None:
        Scanner.__init__(self, sink, size=size)
        self.last_time = first_time
        self.buffer = buffer
        self.others: dict[bytes, int] = {}
        self.width = width

    def facts(self) -> dict[str, Any]:
        """What was gathered beside the rows."""
        return {**Scanner.facts(self), "others": self.others}

    def line(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:  # noqa: C901 (a hot loop: a call costs more than it does)
        """One line of the report."""
        i: cython.Py_ssize_t
        begin: cython.Py_ssize_t
        dash: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        kind: cython.int
        c: cython.int = self.view[start]
        self.clear()
        if c == ord("C") and self.loss(start, end):
            return True
        if c == ord("c") and self.holds(start, b"cpus=") and self.number(start + 5) >= 0:
            self.n_cpus = max(self.n_cpus, self.value)
            if self.n_calls and not self.buffer and not self.others:
                # Not the head of another buffer.
                self.flush()
                self.sink(self.batch, -1)
            return True
        if c == ord("v") and self.holds(start, b"version = "):
            return True
        i = self.columns(start, end)
        if i < 0:
            stop = self.prefix(start, end)
            name = self.data[start:stop].strip().removesuffix(b":")
            if name != self.buffer:
                self.others[name] = self.others.get(name, 0) + 1
                return True
            start = stop
            if self.view[start] == ord("C") and self.loss(start, end):
                return True
            i = self.task(start, end)
            if i < 0:
                # What says of itself to be a record belongs to no event before it.
                self.headed = self.data.find(b"funcgraph_e", start, end) >= 0
                return name != b"" and self.holds(start, b"cpus=")
        elif self.buffer:
            self.others[b""] = self.others.get(b"", 0) + 1
            return True
        dash = self.dash
        if self.view[i] == ord("-") and self.view[i + 1] == ord("0") and self.view[i + 2] == ord("x"):
            i = self.raw_flags(i + 3, end)
        else:
            i = self.latency(self.spaces(i), end)
        if i < 0:
            return False
        i = self.timestamp(i)
        if i < 0 or self.view[i] != ord(":"):
            self.headed = self.data.find(b"funcgraph_e", start, end) >= 0
            return False
        self.headed = True
        if self.time_is_ticks:
            self.ticks = True
            self.last_time = self.time
        i = self.spaces(i + 1)
        if self.view[i] == ord("(") and self.view[i + 1] == ord("+"):
            # report --ts-diff
            while i < end and self.view[i] != ord(" "):
                i += 1
            i = self.spaces(i)
        begin = i
        while i < end and self.view[i] != ord(":") and self.view[i] != ord(" "):
            i += 1
        if i >= end or self.view[i] != ord(":") or i == begin:
            return False
        self.comm(start, dash)
        kind = self.event(begin, i)
        stop = i
        i = self.spaces(i + 1)
        if kind < 0:
            self.mark(self.data[begin:stop], self.data[i:end])
            return True
        c = self.view[i]
        if c == ord("f") and self.holds(i, b"func="):
            return self.raw(i, end, kind)
        if self.holds(i, b"-->") or self.holds(i, b"<--"):
            return self.arrow(i + 3, end, kind)
        i = self.duration_column(i)
        return i >= 0 and self.body(i, end, 2)

    def event(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """ENTRY, EXIT, or -1 for the name of any other event."""
        if end - begin == 15 and self.holds(begin, b"funcgraph_entry"):
            return _ENTRY
        if end - begin == 14 and self.holds(begin, b"funcgraph_exit"):
            return _EXIT
        if end - begin == 20 and self.holds(begin, b"fgraph_retaddr_entry"):
            return _ENTRY
        return -1

    def columns(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``comm-pid [cpu]``. A comm may hold anything; but it is padded to 16 bytes (8 with ``report -l``)."""
        i: cython.Py_ssize_t
        if end - start < 18:
            return -1
        # It has 15 bytes at most, so a blank leads.
        i = self.task_at(start + 16, True) if self.view[start] == ord(" ") else -1
        return i if i >= 0 else self.task_at(start + 8, False)

    def task(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The same wherever it stands: behind a buffer's name, copied by hand, after a line break in a comm."""
        i: cython.Py_ssize_t = self.columns(start, end)
        dash: cython.Py_ssize_t = start
        while i < 0 and dash < end:
            i = self.task_at(dash, True)
            if i >= 0 and not self.names_task(start, dash):
                i = -1
            dash += 1
        return i

    def names_task(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Whether this can be a comm without its padding: 15 bytes at most, no two blanks beside each other."""
        start = self.spaces(start)
        if end - start > 15:
            return False
        while start + 1 < end:
            if self.view[start] == ord(" ") and self.view[start + 1] == ord(" "):
                return False
            start += 1
        return True

    def prefix(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Behind the name of a buffer, or the blanks in its place; ``start`` where there is neither."""
        stop: cython.Py_ssize_t
        if not self.width:
            # The first line with a name tells how wide all are.
            stop = self.data.find(b": ", start, end) + 2
            name = self.data[start:stop].strip().removesuffix(b":")
            if stop < start + 3 or b" " in name or name.isdigit():
                return start
            if self.columns(stop, end) < 0 and not self.holds(stop, b"cpus="):
                return start
            self.width = stop - start
        stop = start + self.width
        if stop < end and self.data[stop - 2 : stop] in (b": ", b"  "):
            return stop
        return start

    def task_at(self, dash: cython.Py_ssize_t, bracket: cython.bint) -> cython.Py_ssize_t:
        """``-pid [cpu]``, or ``-pid cpu`` without brackets."""
        i: cython.Py_ssize_t
        if self.view[dash] != ord("-"):
            return -1
        i = self.number(dash + 1)
        if i < 0 or self.view[i] != ord(" ") or self.value > 0x7FFFFFFF:
            return -1
        self.pid = self.value
        i = self.spaces(i)
        if bracket:
            if self.view[i] != ord("["):
                return -1
            i += 1
        i = self.number(i)
        if i < 0 or self.value > 32767 or (bracket and self.view[i] != ord("]")):
            return -1
        self.cpu = self.value
        self.dash = dash
        return i + 1 if bracket else i

    def latency(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``d.h2.``, if there: irqs-off, need-resched, hardirq/softirq, ... ; then the time, glued to it if ticks."""
        begin: cython.Py_ssize_t = i
        if ord("0") <= self.view[i] <= ord("9"):
            return i
        while i < end and self.view[i] != ord(" ") and self.view[i] != ord(":"):
            i += 1
        if i - begin < 4:
            return -1
        if self.view[i] == ord(":"):
            self.context = self.context_of(self.view[begin + 2])
            return begin + 5
        self.context = self.wide_context(begin, i - begin)
        return self.spaces(i)

    def wide_context(self, begin: cython.Py_ssize_t, width: cython.Py_ssize_t) -> cython.int:
        """The context of a latency field without a header. The third letter tells it; RT kernels have one more before
        it (need-resched-lazy): of six letters and more it is told where both readings agree, or one cannot be."""
        third: cython.int = self.context_of(self.view[begin + 2])
        fourth: cython.int
        if width < 6 or 0 < third < _UNKNOWN_CONTEXT:
            return third
        fourth = self.context_of(self.view[begin + 3])
        if 0 < fourth < _UNKNOWN_CONTEXT:
            return fourth
        return 0 if third == 0 or fourth == 0 else _UNKNOWN_CONTEXT

    def raw_flags(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``0x34   1.234:``. Ticks are glued to the flags (``0x9981103968584:``): one digit or two are the flags,
        whichever leaves a time nearer to the last one; no time begins with a zero."""
        begin: cython.Py_ssize_t = i
        flags: cython.longlong
        one: cython.longlong
        two: cython.longlong
        if self.register(i) < 0:
            while i < end and self.view[i] != ord(":"):
                i += 1
        else:
            i = self.register(i)
        flags = self.value
        if self.view[i] == ord(":"):
            if self.view[begin + 1] == ord("0") or self.number(begin + 1) < 0:
                i = begin + 2
            else:
                one = self.value
                i = begin + 1
                if self.last_time >= 0 and self.number(begin + 2) >= 0:
                    two = self.value
                    if abs(two - self.last_time) < abs(one - self.last_time):
                        i = begin + 2
            flags = self.hex_digit(self.view[begin])
            if i == begin + 2:
                flags = flags * 16 + self.hex_digit(self.view[begin + 1])
        if flags & 0x40:
            self.context = 3
        elif flags & 0x08:
            self.context = 2
        elif flags & 0x10:
            self.context = 1
        else:
            self.context = 0
        return self.spaces(i)

    def raw(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t, kind: cython.int) -> cython.bint:  # noqa: C901 (a hot loop: a call costs more than it does)
        """``func=f depth=0 overrun=0 calltime=f7b rettime=f7c retval=0 retaddr=g``: ``report -R``."""
        begin: cython.Py_ssize_t
        rettime: cython.longlong = -1
        c: cython.int
        while True:
            i = self.spaces(i)
            if i >= end:
                break
            c = self.view[i]
            if c == ord("r") and i + 3 < end:
                c = self.view[i + 3]
            while i < end and self.view[i] != ord("="):
                i += 1
            i += 1
            begin = i
            while i < end and self.view[i] != ord(" "):
                i += 1
            if begin >= end:
                break
            if c == ord("f"):
                self.func = self.name(self.data[begin:i])
            elif c == ord("d"):
                if self.number(begin) >= 0:
                    self.depth = min(self.value, _MAX_DEPTH)
            elif c == ord("c"):
                if self.register(begin) >= 0:
                    self.calltime = self.value
            elif c == ord("t"):
                if self.register(begin) >= 0:
                    rettime = self.value
            elif c == ord("v"):
                if self.register(begin) >= 0:
                    self.retval = self.value
                    self.n_retvals += 1
            elif c == ord("a") and self.view[begin - 2] == ord("r"):  # retaddr, not args
                self.caller = self.site(self.data[begin:i], b"")
                self.n_callers += 1
        return self.finish(kind, rettime)

    def arrow(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t, kind: cython.int) -> cython.bint:
        """``--> f (0) <- g`` and ``<-- f (0) (start: 1a  end: 2b) over: 0``: the events' own print formats."""
        begin: cython.Py_ssize_t = self.spaces(i)
        rettime: cython.longlong = -1
        i = begin
        while i < end and self.view[i] != ord(" "):
            i += 1
        self.func = self.name(self.data[begin:i])
        i = self.spaces(i)
        if i >= end or self.view[i] != ord("(") or self.number(i + 1) < 0:
            return False
        self.depth = min(self.value, _MAX_DEPTH)
        while i < end:
            begin = i
            while i < end and self.view[i] != ord(" "):
                i += 1
            word = self.data[begin:i]
            i = self.spaces(i)
            if word == b"<-":
                begin = i
                while i < end and self.view[i] != ord(" "):
                    i += 1
                self.caller = self.site(self.data[begin:i], b"")
                self.n_callers += 1
            elif word == b"(start:" and self.register(i) >= 0:
                self.calltime = self.value
            elif word == b"end:" and self.register(i) >= 0:
                rettime = self.value
            elif word == b"retval:" and self.register(i) >= 0:
                self.retval = self.value
                self.n_retvals += 1
        return self.finish(kind, rettime)

    def finish(self, kind: cython.int, rettime: cython.longlong) -> cython.bint:
        """The row of a record with its two times; False where they make no duration."""
        if kind == _EXIT and (self.calltime < 0 or rettime < self.calltime):
            return False
        if kind == _EXIT:
            self.duration = rettime - self.calltime
        self.row(kind)
        return True

    def hex_digit(self, c: cython.int) -> cython.int:
        """Its value; 0 for what is none."""
        if ord("0") <= c <= ord("9"):
            return c - ord("0")
        return c - ord("a") + 10 if ord("a") <= c <= ord("f") else 0
