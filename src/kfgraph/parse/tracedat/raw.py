"""Every funcgraph record of a trace.dat as it stands there, before pairing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kfgraph.parse.records import ENTRY, EXIT, LOSS
from kfgraph.parse.tracedat.pages import RawColumns
from kfgraph.parse.tracedat.reader import BATCH_ROWS, Reading


class Record(NamedTuple):
    """One record of the stream.

    ``kind`` is ENTRY, EXIT, MARK or LOSS of :mod:`kfgraph.parse.records`; ``time`` is ns or ticks,
    ``flags`` are common_flags, ``func`` and ``caller`` addresses, ``calltime`` and ``rettime`` as recorded,
    ``n_lost`` a loss's number of records (-1: not counted). Everything else is 0 or -1 where it is not told.
    """

    kind: int
    time: int
    cpu: int
    pid: int = -1
    flags: int = 0
    func: int = 0
    depth: int = -1
    overrun: int = 0
    calltime: int = 0
    rettime: int = 0
    retval: int = 0
    caller: int = 0
    args: tuple[int, ...] = ()
    n_lost: int = 0
    type: int = 0


def records_of(reading: Reading) -> Iterator[Record]:
    """All records of one buffer in the order of the stream; a loss stands before the next record of its CPU."""
    lost: dict[int, int] = {}
    raw = RawColumns(BATCH_ROWS)
    offset = reading.times.offset if reading.times.is_local else 0
    for batch, n in reading.batches(raw):
        functions = [0, *reading.decoder.functions().tolist()]
        callers = [0, *reading.decoder.callers().tolist()]
        values = reading.decoder.argument_values()
        columns = (
            batch.kind, batch.time, batch.cpu, batch.pid, batch.func, batch.depth, batch.duration, batch.calltime,
            raw.flags, raw.overrun, raw.rettime,
            *(batch.func if column is None else column for column in (batch.retval, batch.caller, batch.arg)),
        )  # fmt: skip
        rows = zip(*(column[:n].tolist() for column in columns), strict=True)
        for kind, time, cpu, pid, func, depth, n_lost, calltime, flags, overrun, rettime, retval, caller, arg in rows:
            if kind == LOSS:
                lost[cpu] = n_lost
                continue
            if cpu in lost:
                yield Record(LOSS, -1, cpu, n_lost=lost.pop(cpu))
            if kind == ENTRY:
                args: tuple[int, ...] = ()
                if batch.arg is not None and arg >= 0:
                    args = tuple(int(value) for value in values[arg + 1 : arg + 1 + int(values[arg])])
                returns_to = callers[caller] if batch.caller is not None else 0
                yield Record(ENTRY, time, cpu, pid, flags, functions[func], depth, caller=returns_to, args=args)
            elif kind == EXIT:
                yield Record(
                    EXIT, time, cpu, pid, flags, functions[func], depth, overrun,
                    calltime - offset if calltime >= 0 else 0,
                    rettime if calltime >= 0 else 0,
                    retval if batch.retval is not None else 0,
                )  # fmt: skip
            else:
                yield Record(kind, time, cpu, pid, flags, type=func)
    for cpu, n_lost in sorted(lost.items()):
        yield Record(LOSS, -1, cpu, n_lost=n_lost)
