"""The tracefs file ``trace`` under function_graph, and ``perf ftrace`` text -> Trace.

A task is known where a column (funcgraph-proc) or a switch line tells; elsewhere the lane is the
CPU's. Without funcgraph-abstime there is no time of day: starts are unknown, order and durations stay.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.errors import InputError
from kfgraph.model.arrays import distinct
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.parse.assemble import assemble
from kfgraph.parse.input import Input
from kfgraph.parse.pairing import Pairer
from kfgraph.parse.plaintext import PlainText
from kfgraph.parse.records import LOSS, UNTOLD, RecordBatch
from kfgraph.parse.report import scan
from kfgraph.parse.scan_ftrace import FtraceScanner
from kfgraph.parse.shapes import GRAPH, columns_of, is_bare, likely_lines

_TRACER = re.compile(rb"^ *# tracer: (\S+)", re.MULTILINE)
_LINE = re.compile(rb"^[^\n]{0,100}\|  [^\n]*[;{}/][ \r]*$", re.MULTILINE)
_FUNCTION_TRACER = re.compile(rb"^[^\n]{1,40}-\d+ +\[\d+\] [^\n:]{0,40}: [\w.]+ <-[\w.]+\r?$", re.MULTILINE)
_BYTES_A_CALL = 64
"""As in report.py; the columns are fewer."""
_LATENCY_TRACERS = frozenset((b"irqsoff", b"preemptoff", b"preemptirqsoff", b"wakeup", b"wakeup_rt", b"wakeup_dl"))


def sniff(head: bytes) -> bool:
    """Whether this looks like what a tracefs ``trace`` file or ``perf ftrace`` gives."""
    return bool(_TRACER.search(head) or _LINE.search(head) or _FUNCTION_TRACER.search(head)) or _has_graph(head)


def _has_graph(head: bytes) -> bool:
    return any(map(GRAPH.match, likely_lines(head, 300))) or is_bare(head)


def load(source: Input | PlainText) -> Trace:
    """Read it.

    Raises:
        InputError: the text of another tracer, or not one line is a call.
    """
    head = source.head
    tracer = _TRACER.search(head)
    if ((tracer and tracer[1] != b"function_graph") or _FUNCTION_TRACER.search(head)) and not _has_graph(head):
        name = tracer[1].decode("ascii", "backslashreplace") if tracer else "function"
        hint = "record with function_graph: `kfgraph trace COMMAND`, or `echo function_graph > current_tracer`"
        if tracer and tracer[1] in _LATENCY_TRACERS:
            hint = "`echo 1 > options/display-graph` makes this tracer print what kfgraph reads"
        raise InputError(f"{source.name}: a trace of the {name} tracer, which has no durations and no depth", hint)
    has_time, has_cpu, has_duration = columns_of(head)
    n_expected = source.n_bytes // _BYTES_A_CALL
    pairer = Pairer(retval=True, caller=True, args=True, untold=UNTOLD, n_expected=n_expected)
    held = _Held(pairer)
    scanner = FtraceScanner(
        held.take, has_time=has_time, has_cpu=has_cpu, has_duration=has_duration, is_bare=is_bare(head)
    )
    held.first_pids = scanner.first_pids
    pairer.delays.facts = scanner.facts
    notices = scan(scanner, source.chunks())
    held.release()
    facts = scanner.facts()
    kernel = re.search(rb"latency trace v\S+ on (\S+)", b"\n".join(facts["header"]))
    meta = TraceMeta(path=source.name, reader="ftrace", kernel=kernel[1].decode("ascii", "replace") if kernel else "")
    cpus = re.search(rb"#P:(\d+)", b"\n".join(facts["header"]))
    if cpus:
        meta = replace(meta, n_cpus=min(int(cpus[1]), 1 << 15))
    return assemble(pairer.finish(), facts, meta, [*source.notices(), *notices])


class _Held:
    """Batches on their way to the pairer. Who runs on a CPU until the first switch line there, that line tells: what
    comes before it waits, each column as narrow as its values allow, in the order of the text."""

    def __init__(self, pairer: Pairer) -> None:
        self.first_pids: dict[int, int] = {}
        self._pairer = pairer
        self._waiting: deque[dict[str, tuple[npt.NDArray[Any], npt.DTypeLike]]] = deque()

    def take(self, batch: RecordBatch, n: int) -> None:
        """The first ``n`` rows, which may be overwritten afterwards. -1: another recording begins."""
        if n < 0:
            self.release()
            self._pairer.feed(batch, n)
            return
        rows = RecordBatch(**{name: column[:n] for name, column in vars(batch).items()})
        if not self._waiting and not self._is_open(rows):
            self._feed(rows)
            return
        self._waiting.append({name: _narrow(column) for name, column in vars(rows).items()})

    def release(self) -> None:
        """The text is over: what waits still is of tasks that no line tells."""
        while self._waiting:
            columns = self._waiting.popleft()
            self._feed(RecordBatch(**{name: column.astype(kind) for name, (column, kind) in columns.items()}))

    def _is_open(self, rows: RecordBatch) -> bool:
        """Whether a later line can tell the task of one of these rows."""
        untold = distinct(rows.cpu[(rows.pid == -1) & (rows.kind != np.uint8(LOSS))])
        return any(cpu not in self.first_pids for cpu in untold.tolist() if cpu >= 0)

    def _feed(self, rows: RecordBatch) -> None:
        _name_first_tasks(rows, self.first_pids)
        self._pairer.feed(rows, len(rows.kind))


def _narrow(column: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.DTypeLike]:
    """The same values in as few bytes as they need, and the type to give them back in."""
    low, high = int(column.min()), int(column.max())
    if low == high:
        return np.broadcast_to(column[:1].copy(), column.shape), column.dtype
    for kind in (np.int8, np.int16, np.int32):
        if np.dtype(kind).itemsize < column.dtype.itemsize and np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return column.astype(kind), column.dtype
    return column.copy(), column.dtype


def _name_first_tasks(batch: RecordBatch, first_pids: dict[int, int]) -> None:
    """What ran on a CPU before its first switch line ran in the task that leaves there."""
    for cpu, pid in first_pids.items():
        batch.pid[(batch.pid == -1) & (batch.cpu == cpu) & (batch.kind != np.uint8(LOSS))] = pid
