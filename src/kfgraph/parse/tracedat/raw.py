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
    """All records of one buffer in the order of the stream."""
    raw = RawColumns(BATCH_ROWS)
    offset = reading.times.offset if reading.times.is_local else 0
    for batch, n in reading.batches(raw):
        functions = [0, *reading.decoder.functions().tolist()]
        callers = [0, *reading.decoder.callers().tolist()]
        values = reading.decoder.argument_values()
        for i in range(n):
            kind, cpu = int(batch.kind[i]), int(batch.cpu[i])
            if kind == LOSS:
                yield Record(LOSS, -1, cpu, n_lost=int(batch.duration[i]))
                continue
            record = Record(kind, int(batch.time[i]), cpu, int(batch.pid[i]), int(raw.flags[i]))
            if kind == ENTRY:
                args: tuple[int, ...] = ()
                if batch.arg is not None and batch.arg[i] >= 0:
                    at = int(batch.arg[i])
                    args = tuple(int(value) for value in values[at + 1 : at + 1 + int(values[at])])
                yield record._replace(
                    func=functions[batch.func[i]],
                    depth=int(batch.depth[i]),
                    caller=callers[batch.caller[i]] if batch.caller is not None else 0,
                    args=args,
                )
            elif kind == EXIT:
                told = batch.calltime[i] >= 0
                yield record._replace(
                    func=functions[batch.func[i]],
                    depth=int(batch.depth[i]),
                    overrun=int(raw.overrun[i]),
                    calltime=int(batch.calltime[i]) - offset if told else 0,
                    rettime=int(raw.rettime[i]) if told else 0,
                    retval=int(batch.retval[i]) if batch.retval is not None else 0,
                )
            else:
                yield record._replace(type=int(batch.func[i]))
