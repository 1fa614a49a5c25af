# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""Lines of the tracefs file ``trace`` under function_graph, and of ``perf ftrace``."""

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


class FtraceScanner(Scanner):
    """The tracefs file ``trace`` under function_graph, and ``perf ftrace``.

    ``header`` gathers the ``#`` lines. Where no column tells the task, a switch line tells who runs on
    the CPU from there on, and ``first_pids`` (cpu -> pid) who ran there before the first one.
    """

    def __init__(self, sink: Callable[[RecordBatch, int], None], *, size: int = BATCH) -> None:
        Scanner.__init__(self, sink, size=size)
        self.header: list[bytes] = []
        self.first_pids: dict[int, int] = {}
        self.cpu_pids: dict[int, int] = {}

    def facts(self) -> dict[str, Any]:
        """What was gathered beside the rows."""
        return {**Scanner.facts(self), "header": self.header, "first_pids": self.first_pids}

    def line(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """One line of the file."""
        i: cython.Py_ssize_t = start
        j: cython.Py_ssize_t
        c: cython.int = self.view[start]
        self.clear()
        if c == ord("#"):
            self.header.append(self.data[start:end])
            return True
        if c == ord("C") and self.loss(start, end):
            return True
        i = self.spaces(start)
        if i >= end or (self.view[i] == ord("-") and self.view[i + 1] == ord("-")):
            return True  # the frame of a task switch
        j = self.number(i)
        if j >= 0 and self.view[j] == ord("."):
            j = self.timestamp(i)
            if j >= 0 and self.view[self.spaces(j)] == ord("|"):
                i = self.spaces(self.spaces(j) + 1)
            else:
                self.time = -1
        j = self.number(i)
        if j >= 0 and self.view[j] == ord(")") and self.value <= 32767:
            self.cpu = self.value
            i = j + 1
        if self.data.find(b"|", i, end) < 0:
            return self.switch(self.data[i:end])
        j = self.task_column(i, end)
        if j >= 0:
            i = j
        else:
            self.pid = self.cpu_pids.get(self.cpu, -1)
        i = self.latency_column(i, end)
        if self.view[self.spaces(i)] == ord("=") or self.view[self.spaces(i)] == ord("<"):
            return True  # ==========> | and <========== |: the borders of an interrupt
        i = self.duration_column(i)
        return i >= 0 and self.body(i, end)

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
                self.pid = self.value
                self.comm(start, i - 1)
                return bar + 1
            if i == stop and (stop == start or self.view[stop - 1] == ord("s")):
                return -1  # an empty column, or a duration
            bar += 1

    def latency_column(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """``d.h2. |``, if there."""
        begin: cython.Py_ssize_t = self.spaces(i)
        j: cython.Py_ssize_t = begin
        while j < end and self.view[j] != ord(" ") and self.view[j] != ord("|"):
            j += 1
        if j - begin < 4 or j - begin > 7 or ord("0") <= self.view[begin] <= ord("9"):
            return i
        if self.view[self.spaces(j)] != ord("|"):
            return i
        self.context = self.context_of(self.view[begin + 2])
        return self.spaces(j) + 1

    def switch(self, text: bytes) -> bool:
        """`` bash-240    =>    cat-12  ``: who leaves the CPU and who comes."""
        cpu = self.cpu
        left, arrow, right = text.partition(b" => ")
        pids = []
        for task in (left.strip(), right.strip()):
            comm, dash, pid = task.rpartition(b"-")
            if not (arrow and dash and pid.isdigit() and len(pid) < 10):
                return False
            self.comms.setdefault(int(pid), comm)
            pids.append(int(pid))
        self.first_pids.setdefault(cpu, pids[0])
        self.cpu_pids[cpu] = pids[1]
        return True
