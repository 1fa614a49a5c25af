"""What every reader hands to pairing: batches of records in record order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ENTRY, EXIT, LEAF, MARK, LOSS = range(5)
"""``RecordBatch.kind``. LEAF is an entry and its exit in one line of text."""


@dataclass(eq=False, repr=False)
class RecordBatch:
    """Equal-length columns, one row per record, in the order of the stream (all CPUs by time).

    ==========  ======  =========================================================================
    kind        uint8   ENTRY, EXIT, LEAF, MARK or LOSS
    func        int32   function code (0: not told); for a MARK the index of its event name
    pid         int32   the running task; -1: not told (then the lane is the CPU's)
    cpu         int16   -1: not told
    time        int64   the record's timestamp, ns or ticks of the trace clock; -1: not told
    depth       int16   as the kernel wrote it, from 0; -1: not told
    context     uint8   0 task, 1 softirq, 2 hardirq, 3 nmi, 255 not told
    duration    int64   EXIT, LEAF: ns, -1 not told. LOSS: how many records, -1 not counted
    calltime    int64   EXIT, LEAF: local clock ns at which the call began, -1 not told
    retval      int64   EXIT, LEAF, where recorded
    caller      int32   ENTRY, LEAF: number of the return address, or of what a text tells of it; 0 not told
    arg         int32   ENTRY, LEAF, EXIT: the reader's own index of the arguments, -1 none
    ==========  ======  =========================================================================

    ``retval``, ``caller`` and ``arg`` may be None: the trace has none. A MARK needs kind, func, pid,
    cpu and time only; a LOSS kind, cpu and duration, and stands anywhere between the last record of its
    CPU before it and the first one after it: the sooner, the better.
    """

    kind: npt.NDArray[np.uint8]
    func: npt.NDArray[np.int32]
    pid: npt.NDArray[np.int32]
    cpu: npt.NDArray[np.int16]
    time: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int16]
    context: npt.NDArray[np.uint8]
    duration: npt.NDArray[np.int64]
    calltime: npt.NDArray[np.int64]
    retval: npt.NDArray[np.int64] | None = None
    caller: npt.NDArray[np.int32] | None = None
    arg: npt.NDArray[np.int32] | None = None

    @classmethod
    def empty(
        cls, size: int, *, retval: bool = False, caller: bool = False, arg: bool = False
    ) -> RecordBatch:
        """Uninitialised columns of ``size`` rows, with the optional ones asked for."""
        return cls(
            kind=np.empty(size, np.uint8),
            func=np.empty(size, np.int32),
            pid=np.empty(size, np.int32),
            cpu=np.empty(size, np.int16),
            time=np.empty(size, np.int64),
            depth=np.empty(size, np.int16),
            context=np.empty(size, np.uint8),
            duration=np.empty(size, np.int64),
            calltime=np.empty(size, np.int64),
            retval=np.empty(size, np.int64) if retval else None,
            caller=np.empty(size, np.int32) if caller else None,
            arg=np.empty(size, np.int32) if arg else None,
        )

NO_RETVAL = -0x7FFFFFFFFFFFFFFF
"""In the retval column of a text: the line told none."""
UNTOLD = {"retval": NO_RETVAL, "caller": 0, "arg": -1}
"""What the optional columns hold where a line of text tells nothing: see ``Pairer``."""
