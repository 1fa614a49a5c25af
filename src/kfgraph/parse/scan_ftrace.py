# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""Lines of the tracefs file ``trace`` under function_graph, and of ``perf ftrace``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kfgraph.parse.records import RecordBatch
from kfgraph.parse.scan import BATCH, Scanner
from kfgraph.parse.task_names import called

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled

_UNKNOWN_CONTEXT = cython.declare(cython.int, 255)
_LETTER = re.compile(rb"_-+=> (\S+)")
_STACK = re.compile(rb" *(?:\S+(?: \S+)*)?-(\d{1,9}) +\[(\d{1,4})\] .{0,40}: <(|user )stack trace>\s*")
_SWITCH = re.compile(rb"(\d{1,4})\) (.* => .*)")
_AROUND = (b"Dumping ftrace buffer:", b"(ftrace buffer empty)", b"(Overruns: ", b"```", b"~~~")
"""What stands around records and says nothing: ftrace_dump's lines, funcgraph-overrun's, the fences of a code block."""


_MAX_COMMENT = 8 << 10
_MAX_COMMENT_LINES = 100
"""An event's text is shorter: the kernel formats it in one or two pages."""


class FtraceScanner(Scanner):
    """The tracefs file ``trace`` under function_graph, or a latency tracer with display-graph, and ``perf ftrace``.

    ``header`` gathers the ``#`` lines. Where no column tells the task, a switch line tells who runs on
    the CPU from there on, and ``first_pids`` (cpu -> pid) who ran there before the first one.

    ``has_time``, ``has_cpu`` and ``has_duration`` say which columns a record must have (1), must not have (0), or may
    have (-1): a line without them is none, and what stands in their place no time, no CPU and no task. The header says
    it too.
    ``is_bare``: records may be function and brace alone.
    """

    def __init__(
        self,
        sink: Callable[[RecordBatch, int], None],
        *,
        size: int = BATCH,
        has_time: int = -1,
        has_cpu: int = -1,
        has_duration: int = -1,
        is_bare: bool = False,
    ) -> None:
        Scanner.__init__(self, sink, size=size)
        self.header: list[bytes] = []
        self.first_pids: dict[int, int] = {}
        self.cpu_pids: dict[int, int] = {}
        self.has_time, self.has_cpu, self.has_duration = has_time, has_cpu, has_duration
        self.is_bare = is_bare
        self.relative = False
        self.searched_in = b""
        self.searched = self.closes_at = 0
        self.letters: list[bytes] = []

    def facts(self) -> dict[str, Any]:
        """What was gathered beside the rows."""
        return {**Scanner.facts(self), "header": self.header, "first_pids": self.first_pids}

    def line(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:  # noqa: C901 (a hot loop: a call costs more than it does)
        """One line of the file."""
        i: cython.Py_ssize_t = start
        j: cython.Py_ssize_t
        first: cython.Py_ssize_t
        margin: cython.int = 0
        c: cython.int = self.view[start]
        if start < self.closes_at:
            self.say_more(start, end)
            return True
        self.clear()
        if c == ord("C") and self.loss(start, end):
            return True
        first = self.spaces(start)
        if first >= end:
            return True
        c = self.view[first]
        if c == ord("#") and not self.is_slow(first):
            self.head(self.data[first:end])
            return True
        if c == ord("-") and self.view[first + 1] == ord("-"):
            return True  # the frame of a task switch
        j = self.number(first)
        if j >= 0 and self.view[j] == ord("."):
            j = self.timestamp(first)
            if j >= 0 and self.view[self.spaces(j)] == ord("|"):
                i = self.spaces(j) + 1
                margin = 2
                self.headed = True
            else:
                self.time = -1
        elif j >= 0 and self.view[self.spaces(j)] == ord("u"):
            j = self.relative_time(self.spaces(j), end)
            if j >= 0:
                i = j
                margin = 2
                self.headed = True
        if (self.has_time > 0 and margin == 0) or (self.has_time == 0 and margin > 0):
            return self.aside(start, end)
        j = self.number(self.spaces(i))
        if j >= 0 and self.view[j] == ord(")") and self.value <= 32767:
            self.cpu = self.value
            i = j + 1
            margin = 1
            self.headed = True
            if self.has_cpu == 0:
                return self.aside(start, end)
        elif self.has_cpu > 0:
            return self.aside(start, end)
        j = self.task_column(i, end)
        if j >= 0:
            i = j
            margin = 1
            self.headed = True
        else:
            self.pid = self.cpu_pids.get(self.cpu, -1)
        j = self.latency_column(i, end)
        if j >= 0:
            i = j
            margin = 1
        j = self.spaces(i)
        c = self.view[j]
        if c == ord("=") or c == ord("<"):
            if self.holds(j, b"==========>") or self.holds(j, b"<=========="):
                return True  # ==========> | and <========== |: the borders of an interrupt
            return self.aside(start, end)
        j = self.duration_column(i)
        if j >= 0:
            self.headed = True
            return self.body(j, end, 2)
        return self.flat(start, i, end, margin)

    def flat(
        self, start: cython.Py_ssize_t, i: cython.Py_ssize_t, end: cython.Py_ssize_t, margin: cython.int
    ) -> cython.bint:
        """What has no duration column: the function alone (funcgraph-duration off), or a switch line."""
        j: cython.Py_ssize_t = self.spaces(i)
        stop: cython.Py_ssize_t = self.data.find(b"(", j, end)
        if self.has_duration > 0 or not (self.headed or self.is_bare):
            return self.aside(start, end)
        if j >= end or self.data.find(b" => ", i, end) >= 0:
            return self.aside(start, end)
        if self.view[j] != ord("}") and self.view[j] != ord("/") and (stop < 0 or self.data.find(b"|", j, stop) >= 0):
            return self.aside(start, end)
        # No duration may be made of what is none.
        self.duration = -1
        return self.body(i, end, margin)

    def aside(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """A line without the columns of a record: what is known to stand beside records, or False."""
        text: bytes = self.data[start:end].strip()
        if text.startswith(_AROUND):
            return True
        switch = _SWITCH.fullmatch(text)
        if switch is not None:
            # It has a CPU and two tasks whatever columns records have.
            self.cpu = int(switch[1])
            return self.switch(switch[2])
        stack = _STACK.fullmatch(text) if text.endswith(b"stack trace>") else None
        if stack is None:
            return False
        self.pid, self.cpu, self.time = int(stack[1]), int(stack[2]), -1
        self.mark(stack[3].strip() + b"_stack" if stack[3] else b"kernel_stack", text.rpartition(b": ")[2])
        self.open_mark = False
        return True

    def continued(self, text: bytes) -> bytes | None:
        """A stack trace goes on with arrows. (A comment: see ``is_decided``.)"""
        return text if text.lstrip().startswith(b"=> ") else None

    def is_decided(self, pos: int, *, last: bool) -> bool:
        """The open comment goes on up to the next line that ends with ``*/`` and begins none itself, whatever stands
        between: the kernel closes each. Where none comes soon, it was lost, and what stands below are records."""
        data: bytes = self.data
        if self.closes_at > pos:
            return True
        if self.searched_in is not data:
            self.searched_in, self.searched = data, 0
        limit = pos + _MAX_COMMENT
        # No place is searched twice, however many comments are open: what closes none of them closes no later one.
        at = max(self.searched, pos)
        while (at := data.find(b"*/", at, limit)) >= 0 and (end := data.find(b"\n", at)) >= 0:
            self.searched = at
            begin = max(data.rfind(b"\n", pos, at), pos)
            if not data[at + 2 : end].strip() and data.rfind(b"/*", begin, at) < 0:
                self.open_mark = data.count(b"\n", pos, end) < _MAX_COMMENT_LINES
                self.closes_at = end if self.open_mark else 0
                return True
            at += 2
        self.searched = max(self.searched, min(limit, len(data)) - 1)
        self.open_mark = not (last or limit <= len(data) or data.count(b"\n", pos, limit) >= _MAX_COMMENT_LINES)
        return not self.open_mark

    def say_more(self, start: int, end: int) -> None:
        """A line of the event whose comment is open."""
        text: bytes = self.data[start:end].rstrip()
        if self.data.find(b"\n", start) == self.closes_at:
            text = text.removesuffix(b"*/").rstrip()
            self.open_mark, self.closes_at = False, 0
        self.mark_text += b"\n" + text
        self.mark_ends[len(self.mark_ends) - 1] = len(self.mark_text)

    def head(self, text: bytes) -> None:
        """A ``#`` line. One names the columns; slanted ones the latency letters."""
        self.header.append(text)
        if text.startswith(b"# tracer:"):
            self.letters = []
            if self.n_calls:
                self.flush()
                self.sink(self.batch, -1)
                self.cpu_pids.clear()
                self.first_pids.clear()
        elif b"FUNCTION CALLS" in text:
            self.relative = b"REL TIME" in text
            if self.n_calls:
                self.has_time, self.has_cpu = int(b"TIME" in text), int(b" CPU" in text)
                self.has_duration = int(b"DURATION" in text)
        else:
            letter = _LETTER.search(text)
            if letter and letter[1] != b"CPU#":
                self.letters.append(letter[1])

    def is_slow(self, i: cython.Py_ssize_t) -> cython.bint:
        """``# 1028.225 us |`` where no column stands before it: a duration, not a header."""
        j: cython.Py_ssize_t = self.spaces(i + 1)
        if j == i + 1 or not ord("0") <= self.view[j] <= ord("9"):
            return False
        j = self.duration_column(i)
        self.duration = -1
        return j >= 0

    def relative_time(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``us |`` behind the number at hand, where that is the time since the trace began (REL TIME): the header
        says so, or another column follows. Else -1, for it is a duration."""
        us: cython.longlong = self.value
        j: cython.Py_ssize_t
        if self.view[i + 1] != ord("s"):
            return -1
        i = self.spaces(i + 2)
        if self.view[i] != ord("|"):
            return -1
        i += 1
        if not self.relative:
            j = self.number(self.spaces(i))
            if not (j >= 0 and self.view[j] == ord(")")) and self.task_column(i, end) < 0:
                return -1
        if us <= 9_000_000_000_000:
            self.time = us * 1000
        return i

    def task_column(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``bash-240    |``, if there: the first bar behind ``-digits``. A comm may hold bars."""
        bar: cython.Py_ssize_t = start
        stop: cython.Py_ssize_t
        i: cython.Py_ssize_t
        limit: cython.Py_ssize_t = min(end, start + 40)
        while True:
            bar = self.data.find(b"|", bar, limit)
            if bar < 0:
                return -1
            stop = bar
            while stop > start and self.view[stop - 1] == ord(" "):
                stop -= 1
            i = stop
            while i > start and ord("0") <= self.view[i - 1] <= ord("9"):
                i -= 1
            if start < i < stop and self.view[i - 1] == ord("-") and self.number(i) == stop and self.value < 0x7FFFFFFF:
                if not self.names_task(start, i - 1):
                    return -1
                self.pid = self.value
                self.comm(start, i - 1)
                return bar + 1
            if i == stop and (stop == start or self.view[stop - 1] == ord("s")):
                return -1  # an empty column, or a duration
            bar += 1

    def names_task(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Whether this can be a comm: the kernel prints seven bytes of it, blanks only around it."""
        start = self.spaces(start)
        if end - start > 7:
            # Other printers might cut later; but then without blanks, which a comm seldom has.
            return end - start < 16 and self.data.find(b" ", start, end) < 0 and self.data.find(b"|", start, end) < 0
        return self.data.find(b"  ", start, end) < 0

    def latency_column(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``d.h2. |``, if there; -1 where it is not."""
        begin: cython.Py_ssize_t = self.spaces(i)
        j: cython.Py_ssize_t = begin
        while j < end and self.view[j] != ord(" ") and self.view[j] != ord("|"):
            j += 1
        if j - begin < 4 or j - begin > 9 or ord("0") <= self.view[begin] <= ord("9"):
            return -1
        if self.view[self.spaces(j)] != ord("|") or not self.has_letters(begin):
            return -1
        self.context = self.context_in(begin, j - begin)
        return self.spaces(j) + 1

    def context_in(self, begin: cython.Py_ssize_t, width: cython.Py_ssize_t) -> cython.int:
        """The context, by the place that the header gives it; without a header only a field of known width tells.
        (The header of function_graph leaves migrate-disable out, the letters do not.)"""
        at: cython.Py_ssize_t
        if not self.letters:
            return self.context_of(self.view[begin + 2]) if width <= 5 else _UNKNOWN_CONTEXT
        if not len(self.letters) <= width <= len(self.letters) + 1:
            return _UNKNOWN_CONTEXT
        for at in range(len(self.letters)):
            if self.letters[at].startswith(b"hardirq"):
                return self.context_of(self.view[begin + at])
        return _UNKNOWN_CONTEXT

    def switch(self, text: bytes) -> bool:
        """`` bash-240    =>    cat-12  ``: who leaves the CPU and who comes."""
        cpu = self.cpu
        left, arrow, right = text.partition(b" => ")
        tasks = []
        for task in (left.strip(), right.strip()):
            comm, dash, pid = task.rpartition(b"-")
            if not (arrow and dash and pid.isdigit() and len(pid) < 10):
                return False
            tasks.append((int(pid), comm))
        for number, comm in tasks:
            called(self.comms, self.former_comms, number, comm)
        self.first_pids.setdefault(cpu, tasks[0][0])
        self.cpu_pids[cpu] = tasks[1][0]
        return True
