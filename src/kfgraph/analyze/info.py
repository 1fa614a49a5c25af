"""What a trace is: where it comes from, how much of everything it holds, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kfgraph.analyze.bounds import least_totals
from kfgraph.analyze.select import less_own_cost
from kfgraph.analyze.tracercost import TracerShare, tracer_share
from kfgraph.analyze.wakers import Wait, waiter_to_dict, waits
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import CONTEXTS, UNKNOWN_CONTEXT, Flag
from kfgraph.model.trace import Trace


@dataclass(frozen=True)
class TaskInfo:
    """One lane. ``root_ns`` sums the known durations of its outermost calls, less kfgraph's own cost; -1 if there are
    such calls, and none is known. ``least_ns`` is the least that all of them took, with those that were not seen to
    end. ``of_command``: it belongs to the traced command (None where that is not known)."""

    pid: int
    comm: str
    cpu: int
    label: str
    n_calls: int
    n_roots: int
    root_ns: int
    least_ns: int
    of_command: bool | None
    formerly: tuple[str, ...] = ()
    nth: int = 0


@dataclass(frozen=True)
class Info:
    """The numbers of one trace. ``tasks`` and ``events`` have the most frequent first.

    ``contexts`` counts calls by context ("task", "softirq", ..., "unknown"), ``flags`` by flag.
    ``waits`` says who slept until whom, the longest first; empty where the trace does not tell.
    ``tracing`` estimates what tracing took; None where the trace does not tell.
    ``n_functions`` counts the functions called, ``n_unresolved`` those among them without a name.
    """

    trace: Trace
    n_calls: int
    n_roots: int
    n_functions: int
    n_unresolved: int
    max_level: int
    n_retvals: int
    has_args: bool
    cpus: tuple[int, ...]
    tasks: tuple[TaskInfo, ...]
    events: dict[str, int]
    contexts: dict[str, int]
    flags: dict[str, int]
    waits: tuple[Wait, ...] = ()
    tracing: TracerShare | None = None

    def to_dict(self) -> dict[str, Any]:
        """What ``kfgraph info --json`` writes: plain values, None where unknown."""
        trace, meta = self.trace, self.trace.meta
        companion = trace.companion
        return {
            "path": meta.path,
            "reader": meta.reader,
            "kernel": meta.kernel or None,
            "host": meta.host or None,
            "arch": meta.arch or None,
            "recorder": meta.recorder or None,
            "clock": meta.clock or None,
            "clock_unit": meta.clock_unit,
            "buffers": list(meta.buffers),
            "first_ns": _known(meta.first_ns),
            "last_ns": _known(meta.last_ns),
            "n_records": _known(meta.n_records),
            "n_calls": self.n_calls,
            "n_roots": self.n_roots,
            "n_unfinished": trace.n_unfinished,
            "n_functions": self.n_functions,
            "n_unresolved": self.n_unresolved,
            "n_retvals": self.n_retvals,
            "has_args": self.has_args,
            "max_level": self.max_level,
            "n_lost_marks": trace.n_lost_marks,
            "n_lost_counted": trace.n_lost_counted,
            "lost_ns": None if meta.clock_unit != "ns" or trace.losses.begin_ns is None else trace.losses.covered_ns,
            "n_overrun": _known(meta.n_overrun),
            "n_cpus": _known(meta.n_cpus),
            "cpus": list(self.cpus),
            "contexts": self.contexts,
            "flags": self.flags,
            "tasks": [
                {
                    "pid": _known(task.pid),
                    "comm": task.comm or None,
                    "cpu": _known(task.cpu),
                    "n_calls": task.n_calls,
                    "n_roots": task.n_roots,
                    "root_ns": _known(task.root_ns),
                    "least_ns": task.least_ns,
                    "of_command": task.of_command,
                    **({"formerly": list(task.formerly)} if task.formerly else {}),
                    **({"pid_nth": task.nth} if task.nth else {}),
                }
                for task in self.tasks
            ],
            "events": self.events,
            "waits": [waiter_to_dict(trace, one) for one in self.waits],
            "tracing": None if self.tracing is None else self.tracing.to_dict(),
            "details": dict(meta.details),
            "notices": [
                {
                    "code": n.code,
                    "severity": n.severity,
                    "text": n.text,
                    "n": n.n,
                    "hint": n.hint,
                    "details": n.details,
                }
                for n in trace.notices
            ],
            "recording": None if companion is None else companion.to_dict(),
        }


def info(trace: Trace) -> Info:
    """Count what ``trace`` holds. O(n)."""
    calls = trace.calls
    n_lanes = len(trace.tasks)
    roots = calls.roots
    total_ns, self_ns = less_own_cost(trace)
    finished = roots[total_ns[roots] >= 0]
    n_calls = np.bincount(calls.lane, minlength=n_lanes)
    n_roots = np.bincount(calls.lane[roots], minlength=n_lanes)
    root_ns = np.zeros(n_lanes, np.int64)
    np.add.at(root_ns, calls.lane[finished], total_ns[finished])
    root_ns[(np.bincount(calls.lane[finished], minlength=n_lanes) == 0) & (n_roots > 0)] = -1
    least_ns = np.maximum(root_ns, 0)
    if len(finished) < len(roots):
        rows = np.arange(len(calls), dtype=np.int32)
        floor_ns = least_totals(trace, rows, parent=calls.parent, level=calls.level, total_ns=total_ns)
        least_ns = np.zeros(n_lanes, np.int64)
        np.add.at(least_ns, calls.lane[roots], floor_ns[roots])
    tasks = [
        TaskInfo(
            pid=task.pid,
            comm=task.comm,
            cpu=task.cpu,
            label=task.label,
            formerly=task.formerly,
            nth=task.nth,
            n_calls=int(n_calls[lane]),
            n_roots=int(n_roots[lane]),
            root_ns=int(root_ns[lane]),
            least_ns=int(least_ns[lane]),
            of_command=None if trace.command_lanes is None else lane in trace.command_lanes,
        )
        for lane, task in enumerate(trace.tasks.tasks)
    ]
    called = np.flatnonzero(np.bincount(calls.func))
    marks = np.bincount(trace.marks.name, minlength=len(trace.marks.names)).tolist()
    by_context = np.bincount(calls.context, minlength=UNKNOWN_CONTEXT + 1).tolist()
    contexts = {**dict(zip(CONTEXTS, by_context, strict=False)), "unknown": by_context[UNKNOWN_CONTEXT]}
    flags = {flag.name or "": int(calls.has(flag).sum()) for flag in Flag}
    return Info(
        trace=trace,
        n_calls=len(calls),
        n_roots=len(roots),
        n_functions=len(called),
        n_unresolved=int((~trace.symbols.resolved[called]).sum()),
        max_level=int(calls.level.max(initial=-1)),
        n_retvals=flags["HAS_RETVAL"],
        has_args=calls.args is not None,
        cpus=tuple(distinct(calls.cpu[calls.cpu >= 0]).tolist()),
        tasks=tuple(sorted(tasks, key=lambda task: -task.n_calls)),
        events=dict(sorted(zip(trace.marks.names, marks, strict=True), key=lambda event: -event[1])),
        contexts={name: n for name, n in contexts.items() if n},
        flags={name: n for name, n in flags.items() if n},
        waits=waits(trace),
        tracing=tracer_share(trace, self_ns),
    )


def _known(value: int) -> int | None:
    return None if value < 0 else value
