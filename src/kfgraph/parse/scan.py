# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""Lines of tracer text -> rows of a RecordBatch: the hot loop of every text reader.

One scanner knows the line shapes of ``trace-cmd report`` (pretty, ``-N``, and raw ``-R``), another
those of the tracefs file ``trace``; what stands right of the ``|`` is the same in both. Sources:
trace-ftrace.c of trace-cmd, event-parse.c of libtraceevent, trace_functions_graph.c of the kernel.
Cython's pure-Python mode: uncompiled, the same file is the slow, obvious twin.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from kfgraph.model.names import SIGNS
from kfgraph.parse.records import RecordBatch
from kfgraph.parse.scan_pieces import Pieces
from kfgraph.parse.shapes import LIKELY
from kfgraph.parse.task_names import called
from kfgraph.parse.texts import event_of

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled
BATCH = 1 << 15

# Literals, so that the compiled loop works on C integers; a test holds them to records.
_ENTRY = cython.declare(cython.int, 0)
_EXIT = cython.declare(cython.int, 1)
_LEAF = cython.declare(cython.int, 2)
_MARK = cython.declare(cython.int, 3)
_LOSS = cython.declare(cython.int, 4)
_UNKNOWN_CONTEXT = cython.declare(cython.int, 255)
_NO_RETVAL = cython.declare(cython.longlong, -0x7FFFFFFFFFFFFFFF)
_MAX_DEPTH = cython.declare(cython.int, 32767)
_SIGNS = SIGNS.encode()


class Scanner(Pieces):
    """What the scanners share: rows, names, and the grammar right of the ``|``.

    Rows go to ``sink(batch, n)`` whenever the batch is full. Strings are gathered as bytes:
    ``names`` (function codes, 0 the unknown one), ``sites`` (what the column ``caller`` numbers: (function code, digits
    behind ``+0x``) that calls return to), ``events`` (mark names), ``comms`` (pid -> comm),
    ``former_comms`` (pid -> the names before it), ``mark_text``/``mark_ends`` and
    ``arg_text``/``arg_ends`` (all texts in one buffer, and where each ends).
    """

    def __init__(self, sink: Callable[[RecordBatch, int], None], *, size: int = BATCH) -> None:
        super().__init__()
        batch = RecordBatch.empty(size, retval=True, caller=True, arg=True)
        self.sink, self.batch, self.size, self.n = sink, batch, size, 0
        columns: dict[str, Any] = {name: memoryview(column) for name, column in vars(batch).items()}
        self.c_kind, self.c_func = columns["kind"], columns["func"]
        self.c_pid, self.c_cpu = columns["pid"], columns["cpu"]
        self.c_time, self.c_depth = columns["time"], columns["depth"]
        self.c_context, self.c_duration = columns["context"], columns["duration"]
        self.c_calltime, self.c_retval = columns["calltime"], columns["retval"]
        self.c_caller, self.c_arg = columns["caller"], columns["arg"]
        self.names: dict[bytes, int] = {b"": 0}
        self.sites: dict[tuple[int, bytes], int] = {(0, b""): 0}
        self.events: dict[bytes, int] = {}
        self.comms: dict[int, bytes] = {}
        self.last_comm = b""
        self.former_comms: dict[int, list[bytes]] = {}
        self.mark_text, self.mark_ends = bytearray(), array("q")
        self.arg_text, self.arg_ends = bytearray(), array("q")
        self.n_lines = self.n_unread = self.n_coarse = self.n_calls = self.n_retvals = self.n_callers = 0
        self.n_timeless = self.n_likely = 0
        self.n_cpus, self.ticks, self.last_pid = -1, False, -2
        self.first_unread = self.first_likely = b""
        self.in_mark = self.headed = self.open_mark = False

    def feed(self, data: bytes, *, last: bool = False) -> int:
        """Scan the whole lines of ``data``, but for some that wait if these are not the ``last``: how many bytes."""
        pos: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        at: cython.Py_ssize_t
        breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        ends: cython.longlong[:] = memoryview(breaks.astype(np.int64, copy=False))  # type: ignore[arg-type]
        self.data = self.view = data
        for at in range(len(ends)):
            end = stop = ends[at]
            if self.open_mark and not self.is_decided(pos, last=last):
                break
            self.n_lines += 1
            while stop > pos and data[stop - 1] == ord("\r"):
                stop -= 1
            # Room for the row of this line, so that no line is cut by a full batch.
            if self.n >= self.size:
                self.flush()
            if stop > pos and not self.line(pos, stop):
                self.leave(data[pos:stop])
            pos = end + 1
        self.data = self.view = b"\n"
        return int(pos)

    def leave(self, text: bytes) -> None:
        """A line that is no record: more of the event before it, whose text holds line breaks, or left out."""
        more = self.continued(text) if self.in_mark and not self.headed else None
        if more is not None:
            self.mark_text += b"\n" + more
            self.mark_ends[len(self.mark_ends) - 1] = len(self.mark_text)
            return
        self.in_mark = False
        if not self.n_unread:
            self.first_unread = text
        self.n_unread += 1
        if LIKELY.search(text, 0, 400):
            self.first_likely = self.first_likely if self.n_likely else text
            self.n_likely += 1

    def is_decided(self, pos: int, *, last: bool) -> bool:
        """Whether the line at ``pos`` can be read without what is behind the data: the open comment's end is known."""
        return True

    def continued(self, text: bytes) -> bytes | None:
        """What a line that does not begin as a record does adds to the event before it; None: it cannot be its."""
        return text

    def flush(self) -> None:
        """Hand the gathered rows to the sink."""
        if self.n:
            self.sink(self.batch, self.n)
            self.n = 0

    def facts(self) -> dict[str, Any]:
        """What was gathered beside the rows."""
        text = {"mark_text": self.mark_text, "mark_ends": self.mark_ends, "arg_text": self.arg_text}
        lines = {"n_lines": self.n_lines, "n_unread": self.n_unread, "first_unread": self.first_unread}
        likely = {"n_likely": self.n_likely, "first_likely": self.first_likely}
        calls = {"n_calls": self.n_calls, "n_coarse": self.n_coarse, "n_timeless": self.n_timeless}
        values = {"n_retvals": self.n_retvals, "n_callers": self.n_callers, "arg_ends": self.arg_ends}
        rest = {"comms": self.comms, "former_comms": self.former_comms}
        clock = {"n_cpus": self.n_cpus, "ticks": bool(self.ticks)}
        names = {"names": list(self.names), "sites": list(self.sites), "events": list(self.events)}
        return {**names, **text, **lines, **likely, **calls, **values, **rest, **clock}

    def line(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """One line, ``end`` at its line break. False: not understood."""
        return False

    # ---- rows

    def clear(self) -> cython.int:
        """Nothing told yet."""
        self.pid = self.cpu = self.depth = self.arg = -1
        self.time = self.duration = self.calltime = -1
        self.context = _UNKNOWN_CONTEXT
        self.retval = _NO_RETVAL
        self.caller = self.func = 0
        self.headed = False
        return 0

    def row(self, kind: cython.int) -> cython.int:
        """Put the line's record down."""
        n: cython.Py_ssize_t = self.n
        self.c_kind[n] = kind
        self.c_func[n] = self.func
        self.c_pid[n] = self.pid
        self.c_cpu[n] = self.cpu
        self.c_time[n] = self.time
        self.c_depth[n] = self.depth
        self.c_context[n] = self.context
        self.c_duration[n] = self.duration
        self.c_calltime[n] = self.calltime
        self.c_retval[n] = self.retval
        self.c_caller[n] = self.caller
        self.c_arg[n] = self.arg
        self.n = n + 1
        self.in_mark = kind == _MARK
        if kind <= _LEAF:
            self.n_calls += 1
            if kind != _ENTRY and self.duration < 0:
                self.n_timeless += 1
        return 0

    def mark(self, name: bytes, text: bytes) -> cython.int:
        """A row for another event."""
        code = self.events.get(name)
        if code is None:
            code = self.events[name] = len(self.events)
        self.func = code
        self.mark_text += text
        self.mark_ends.append(len(self.mark_text))
        return self.row(_MARK)

    def name(self, text: bytes) -> cython.int:
        """The code of a function name."""
        code = self.names.get(text)
        if code is None:
            code = self.names[text] = len(self.names)
        return code

    def site(self, caller: bytes, offset: bytes) -> cython.int:
        """The number of what a call returns to; ``offset`` in hex digits, b"" where the text has none."""
        key = (self.name(caller), offset)
        number = self.sites.get(key)
        if number is None:
            number = self.sites[key] = len(self.sites)
        return number

    def function(self, text: bytes) -> cython.int:
        """The same, and -1 for what can be none: what holds blanks, brackets or control characters before its module,
        or begins with a sign. ``0`` is no function, but an address that was not recorded."""
        code = self.names.get(text)
        if code is None:
            if text == b"0":
                return 0
            if text[0] in _SIGNS:
                return -1
            for c in text.partition(b" [")[0]:
                if c <= ord(" ") or c == 127 or c == ord("(") or c == ord(")"):
                    return -1
            code = self.names[text] = len(self.names)
        return code

    def comm(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """Remember the comm of the line's pid."""
        while start < end and self.view[start] == ord(" "):
            start += 1
        if self.pid == self.last_pid and end - start == len(self.last_comm) and self.holds(start, self.last_comm):
            return 0
        self.last_pid = self.pid
        self.last_comm = self.data[start:end]
        called(self.comms, self.former_comms, self.pid, self.last_comm)
        return 0

    def duration_column(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``! 912.008 us |``, or blanks and the bar. The column is 7 wide: from 10 ms on it loses decimals."""
        c: cython.int
        ns: cython.longlong
        scale: cython.int = 100
        i = self.spaces(i)
        c = self.view[i]
        if c == ord("+") or c == ord("!") or c == ord("#") or c == ord("*") or c == ord("@") or c == ord("$"):
            i = self.spaces(i + 1)
            c = self.view[i]
        if ord("0") <= c <= ord("9"):
            i = self.number(i)
            if i < 0 or self.value > 9_000_000_000_000_000:
                return -1
            ns = self.value * 1000
            if self.view[i] == ord("."):
                i += 1
                while ord("0") <= self.view[i] <= ord("9"):
                    ns += scale * (self.view[i] - ord("0"))
                    scale //= 10
                    i += 1
            if scale > 0:
                self.n_coarse += 1
            i = self.spaces(i)
            if self.view[i] != ord("u") or self.view[i + 1] != ord("s"):
                return -1
            i = self.spaces(i + 2)
            self.duration = ns
        return i + 1 if self.view[i] == ord("|") else -1

    # ---- right of the bar

    def body(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t, margin: cython.int) -> cython.bint:
        """``f(args) {``, ``f();``, ``}`` and what may follow them -> a row; ``margin`` blanks stand before the
        outermost call."""
        begin: cython.Py_ssize_t = i
        kind: cython.int
        i = self.spaces(i)
        # Two blanks for each level.
        if i - begin >= margin:
            self.depth = min((i - begin - margin) // 2, _MAX_DEPTH)
        if self.view[i] == ord("}"):
            return self.tail(i + 1, end, True) >= 0 and self.row(_EXIT) == 0
        if self.view[i] == ord("/"):
            return self.view[i + 1] == ord("*") and self.comment(i, end)
        begin = i
        if self.holds(i, b"(null)("):  # a function without a name
            begin = i = i + 6
        while i < end and self.view[i] != ord("(") and self.view[i] != ord(")"):
            i += 1
        # trace-cmd 3.4 prints ") {" for a function without a symbol: the empty name, code 0.
        if i == end or (self.view[i] == ord(")") and i > begin):
            return False
        self.func = self.function(self.data[begin:i])
        if self.func < 0:
            return False
        if self.view[i] == ord("("):
            begin = i + 1
            i = self.closing(begin, end)
            if i < 0:
                return False
        else:
            begin = i
        kind = self.tail(i + 1, end, False)
        if kind < 0:
            return False
        if i > begin:
            self.arguments(begin, i)
        self.row(kind)
        return True

    def arguments(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """Those of the line's call."""
        self.arg = len(self.arg_ends)
        self.arg_text += self.data[begin:end]
        self.arg_ends.append(len(self.arg_text))
        return 0

    def tail(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t, is_exit: cython.bint) -> cython.int:
        """``;``, ``{``, ``/* ... */``, ``(ret=0x0)``, ``(depth)``, ``(name)`` (2.6.34) -> ENTRY, LEAF, EXIT; -1 where
        anything else stands: two records on one line, or another text within it."""
        kind: cython.int = _EXIT if is_exit else -1
        stop: cython.Py_ssize_t
        opened: cython.Py_ssize_t
        c: cython.int
        while i < end:
            c = self.view[i]
            if c == ord(";") and kind < 0:
                kind = _LEAF
            elif c == ord("{") and kind < 0:
                kind = _ENTRY
            elif c == ord("/") and self.view[i + 1] == ord("*"):
                i = self.remark(i + 2, end, is_exit)
                continue
            elif c == ord("("):
                stop = self.number(i + 1)
                if stop >= 0 and self.view[stop] == ord(")"):
                    self.depth = min(self.value, _MAX_DEPTH)
                elif self.holds(i + 1, b"ret="):
                    stop = self.returned(i + 5)
                    if stop < 0 or self.view[self.spaces(stop)] != ord(")"):
                        return -1
                    stop = self.spaces(stop)
                    self.retval = self.value
                    self.n_retvals += 1
                elif is_exit and not self.func:
                    stop = self.closing(i + 1, end)
                    opened = self.data.find(b"(", i + 1, max(stop, 0))
                    if stop <= i + 1 or (opened >= 0 and self.closing(opened + 1, end) != stop - 1):
                        return -1
                    self.func = self.function(self.data[i + 1 : stop if opened < 0 else opened])
                    if self.func < 0:
                        return -1
                    if 0 <= opened < stop - 2:
                        self.arguments(opened + 1, stop - 1)
                else:
                    return -1
                i = stop
            elif c != ord(" ") and c != ord("\t") and c != ord("\r"):
                return -1
            i += 1
        return kind

    def remark(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t, is_exit: cython.bint) -> cython.Py_ssize_t:  # noqa: C901 (as of a hot loop)
        """``<-caller+0x1/0x2 [module]``, ``ret=0x0``, ``= 0x0`` (6.5 to 6.12), behind a brace also
        ``function [module]`` and ``(its=arguments)``, up to ``*/``. Nothing is taken from one that holds anything else,
        or has no end."""
        begin: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        first: cython.Py_ssize_t = 0
        behind: cython.Py_ssize_t = self.data.find(b"*/", i, end)
        word: bytes
        func: bytes = b""
        caller: bytes = b""
        offset: bytes = b""
        module: bytes = b""
        has_value: cython.bint = False
        value: cython.longlong = 0
        if behind < 0:
            return end
        while True:
            i = self.spaces(i)
            if i >= behind:
                break
            begin = i
            while i < behind and self.view[i] != ord(" "):
                i += 1
            word = self.data[begin:i]
            if is_exit and word.find(b"(") > 0 and not word.startswith((b"<-", b"=", b"ret=")):
                stop = self.bracketed(begin, behind)
                if stop < 0 or first:
                    return behind + 2
                word, _, _ = word.partition(b"(")
                first = begin + len(word) + 1
                i = stop + 1
            if word.startswith(b"<-") and not caller:
                stop = word.find(b"+0x")
                caller = word[2:stop] if stop > 0 else word[2:].partition(b"+")[0]
                offset = word[stop + 3 :].partition(b"/")[0] if stop > 0 else b""
                module = caller
            elif word == b"=" or word.startswith(b"ret="):
                begin = self.spaces(i) if word == b"=" else begin + 4
                i = self.returned(begin)
                if i < 0 or has_value or (self.view[i] != ord(" ") and i < behind):
                    return behind + 2
                has_value = True
                value = self.value
            elif word.startswith(b"[") and word.endswith(b"]") and module:
                if caller:
                    caller = caller + b" " + word
                else:
                    func = func + b" " + word
                module = b""
            elif is_exit and not func and not caller and self.function(word) >= 0:
                func = module = word
            else:
                return behind + 2
        # 0: no address was recorded.
        if caller and caller != b"0":
            self.caller = self.site(caller, offset)
            self.n_callers += 1
        if func:
            self.func = self.name(func)
        if first and self.view[first] != ord(")"):
            self.arguments(first, self.closing(first, behind))
        if has_value:
            self.retval = value
            self.n_retvals += 1
        return behind + 2

    def bracketed(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Where the first bracket from ``i`` on is closed, if a blank or the end follows; else -1."""
        while self.view[i] != ord("("):
            i += 1
        i = self.closing(i + 1, end)
        return i if i >= 0 and (i + 1 == end or self.view[i + 1] == ord(" ")) else -1

    def comment(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """``/* sys_write -> 0x2 */`` or ``/* event: text */`` in a function's place: another event."""
        text: bytes = self.data[start:end]
        name, said = event_of(text)
        self.mark(name, said)
        self.open_mark = not text.rstrip().endswith(b"*/")
        return True

    def loss(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """``CPU:1 [1159 EVENTS DROPPED]``, ``CPU:1 [LOST 12 EVENTS]``, without a number too; ``CPU 0 is empty``."""
        i: cython.Py_ssize_t
        text: bytes = self.data[start:end].rstrip()
        if text.startswith(b"CPU ") and text.endswith(b" is empty"):
            return True
        if not text.startswith(b"CPU:") or b"EVENTS" not in text:
            return False
        i = self.number(start + 4)
        if i < 0 or self.value > 32767:
            return False
        self.cpu = self.value
        while i < end and not ord("0") <= self.view[i] <= ord("9"):
            i += 1
        if self.number(i) >= 0:
            self.duration = self.value
        self.row(_LOSS)
        return True
