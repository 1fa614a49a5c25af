"""The tracefs file ``trace`` under function_graph, and ``perf ftrace`` text -> Trace.

A task is known where a column (funcgraph-proc) or a switch line tells; elsewhere the lane is the
CPU's. Without funcgraph-abstime there is no time of day: starts are unknown, order and durations stay.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from kfgraph.errors import InputError
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.parse.assemble import assemble
from kfgraph.parse.input import Input
from kfgraph.parse.pairing import Pairer
from kfgraph.parse.records import LOSS, RecordBatch
from kfgraph.parse.report import scan
from kfgraph.parse.scan_ftrace import FtraceScanner

_TRACER = re.compile(rb"^# tracer: (\S+)", re.MULTILINE)
_LINE = re.compile(rb"^[^\n]{0,100}\|  [^\n]*[;{}/]\r?$", re.MULTILINE)
_FUNCTION_TRACER = re.compile(rb"^[^\n]{1,40}-\d+ +\[\d+\] [^\n:]{0,40}: [\w.]+ <-[\w.]+\r?$", re.MULTILINE)


def sniff(head: bytes) -> bool:
    """Whether this looks like what a tracefs ``trace`` file or ``perf ftrace`` gives."""
    return bool(_TRACER.search(head) or _LINE.search(head) or _FUNCTION_TRACER.search(head))


def load(source: Input) -> Trace:
    """Read it.

    Raises:
        InputError: the text of another tracer, or not one line is a call.
    """
    tracer = _TRACER.search(source.head)
    if (tracer and tracer[1] != b"function_graph") or _FUNCTION_TRACER.search(source.head):
        name = tracer[1].decode("ascii", "backslashreplace") if tracer else "function"
        raise InputError(
            f"{source.name}: a trace of the {name} tracer, which has no durations and no depth",
            "record with function_graph: `kfgraph trace COMMAND`, or `echo function_graph > current_tracer`",
        )
    kept: list[RecordBatch] = []
    scanner = FtraceScanner(lambda batch, n: kept.append(_copy(batch, n)))
    notices = scan(scanner, source.chunks())
    facts = scanner.facts()
    pairer = Pairer(retval=True, caller=True, args=True)
    pairer.delays.facts = scanner.facts
    for batch in kept:
        _name_first_tasks(batch, facts["first_pids"])
        pairer.feed(batch, len(batch.kind))
    kernel = re.search(rb"latency trace v\S+ on (\S+)", b"\n".join(facts["header"]))
    meta = TraceMeta(path=source.name, reader="ftrace", kernel=kernel[1].decode("ascii", "replace") if kernel else "")
    cpus = re.search(rb"#P:(\d+)", b"\n".join(facts["header"]))
    if cpus:
        meta = replace(meta, n_cpus=min(int(cpus[1]), 1 << 15))
    return assemble(pairer.finish(), facts, meta, [*source.notices(), *notices])


def _copy(batch: RecordBatch, n: int) -> RecordBatch:
    columns: dict[str, Any] = {name: column[:n].copy() for name, column in vars(batch).items()}
    return RecordBatch(**columns)


def _name_first_tasks(batch: RecordBatch, first_pids: dict[int, int]) -> None:
    """What ran on a CPU before its first switch line ran in the task that leaves there."""
    for cpu, pid in first_pids.items():
        batch.pid[(batch.pid == -1) & (batch.cpu == cpu) & (batch.kind != np.uint8(LOSS))] = pid
