"""Who was waited for: which task, or interrupt, ended each sleep, and in which function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kfgraph.kernel.waking import PASSING_ON
from kfgraph.model.calls import CONTEXTS, UNKNOWN_CONTEXT
from kfgraph.model.offcpu import OffCpu
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace


class Waker(NamedTuple):
    """``lane`` is the task that woke, -1: nothing tells. In another ``context`` than a task's (CONTEXTS; "": not told)
    an interrupt did, which hit that task. ``function`` is the one that did it, "" where none was recorded."""

    lane: int
    context: str
    function: str

    @property
    def is_interrupt(self) -> bool:
        """Whether an interrupt woke."""
        return self.context not in ("", CONTEXTS[0])


@dataclass(frozen=True)
class Wait:
    """How long the task of ``lane`` slept until ``waker`` ended it, in ``n`` stretches. ``waker.function`` is ""."""

    lane: int
    waker: Waker
    n: int
    asleep_ns: int


NOBODY = Waker(-1, "", "")


class Wakers:
    """The wakers of a trace's sleeps. ``off`` is its ``off_cpu``."""

    def __init__(self, trace: Trace, off: OffCpu) -> None:
        self._trace, self._off = trace, off
        self._order = np.argsort(off.row, kind="stable")
        self._rows = off.row[self._order]

    @classmethod
    def of(cls, trace: Trace) -> Wakers | None:
        """Those of a trace; None where it has no sched_switch."""
        off = trace.off_cpu
        return None if off is None else cls(trace, off)

    def sleeps(self, row: int) -> list[tuple[int, int, Waker]]:
        """(begin, end, who ended it) of the sleeps of a call itself, in time order."""
        first, last = np.searchsorted(self._rows, [row, row + 1]).tolist()
        at = self._order[first:last]
        off = self._off
        return [(int(off.begin_ns[k]), int(off.end_ns[k]), self.waker(k)) for k in at.tolist() if off.asleep[k]]

    def waker(self, at: int) -> Waker:
        """Who ended stretch ``at``."""
        off, trace = self._off, self._trace
        lane, row, context = int(off.waker_lane[at]), int(off.waker_row[at]), int(off.waker_context[at])
        if lane < 0:
            return NOBODY
        function = ""
        while row >= 0:
            function = trace.symbols.label(int(trace.calls.func[row]))
            if plain_name(function) not in PASSING_ON:
                break
            row = int(trace.calls.parent[row])
        return Waker(lane, "" if context == UNKNOWN_CONTEXT else CONTEXTS[context], function)

    def said(self, row: int) -> str:
        """``, woken by kworker/0:1 in complete(), moved to CPU 1``; of several sleeps who ended all of them."""
        told = {waker for _, _, waker in self.sleeps(row)}
        said = woken_text(self._trace, told.pop()) if len(told) == 1 else ""
        before, after = int(self._trace.calls.cpu[row]), int(self._trace.calls.exit_cpu[row])
        moved = f"moved to CPU {after}" if 0 <= before != after >= 0 else ""
        return "".join(f", {words}" for words in (said, moved) if words)


def woken_text(trace: Trace, waker: Waker) -> str:
    """``woken by kworker/0:1 in complete()``, ``woken by an interrupt in hrtimer_wakeup()``; "": nothing tells."""
    if waker.lane < 0:
        return ""
    inside = f" in {waker.function}()" if waker.function else ""
    return f"woken by {who(trace, waker)}{inside}"


def who(trace: Trace, waker: Waker) -> str:
    """The task, or the interrupt."""
    if waker.is_interrupt:
        return {"softirq": "a softirq", "nmi": "an NMI"}.get(waker.context, "an interrupt")
    task = trace.tasks[waker.lane]
    return task.comm if task.comm and task.pid > 0 else task.label


def sleeps_to_dicts(trace: Trace, sleeps: Sequence[tuple[int, int, Waker]]) -> list[dict[str, Any]]:
    """As JSON has them: times in ns of the trace's clock."""
    return [{"begin_ns": begin, "end_ns": end, "woken_by": waker_to_dict(trace, one)} for begin, end, one in sleeps]


def waker_to_dict(trace: Trace, waker: Waker) -> dict[str, Any] | None:
    """None: nothing tells. An interrupt has no task."""
    if waker.lane < 0:
        return None
    task = trace.tasks[waker.lane]
    return {
        "pid": None if waker.is_interrupt or task.pid < 0 else task.pid,
        "comm": None if waker.is_interrupt else task.comm or None,
        "context": waker.context or None,
        "function": waker.function or None,
    }


def waits(trace: Trace) -> tuple[Wait, ...]:
    """Who slept until whom, the longest first; of the command's tasks, where it is known which they are. The idle tasks
    wait for nobody."""
    off = trace.off_cpu
    if off is None:
        return ()
    ns, n = Counter[tuple[int, Waker]](), Counter[tuple[int, Waker]]()
    lanes, wakers, contexts = off.lane.tolist(), off.waker_lane.tolist(), off.waker_context.tolist()
    lengths, told = off.ns.tolist(), trace.command_lanes
    for at in np.flatnonzero(off.asleep).tolist():
        if (told is not None and lanes[at] not in told) or trace.tasks[lanes[at]].pid == 0:
            continue
        context = "" if contexts[at] == UNKNOWN_CONTEXT else CONTEXTS[contexts[at]]
        waker = Waker(wakers[at], context, "")
        if waker.is_interrupt:
            # Whichever task it hit.
            waker = Waker(0, context, "")
        elif waker.lane >= 0:
            waker = Waker(waker.lane, CONTEXTS[0], "")
        ns[lanes[at], waker] += lengths[at]
        n[lanes[at], waker] += 1
    return tuple(Wait(lane, waker, n[lane, waker], asleep) for (lane, waker), asleep in ns.most_common())


def waiter_to_dict(trace: Trace, wait: Wait) -> dict[str, Any]:
    """As JSON has it; ``woken_by`` is null where nothing tells."""
    task = trace.tasks[wait.lane]
    by = waker_to_dict(trace, wait.waker)
    if by is not None:
        del by["function"]
    return {"pid": task.pid, "comm": task.comm or None, "asleep_ns": wait.asleep_ns, "n": wait.n, "woken_by": by}
