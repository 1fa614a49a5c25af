"""Trace -> Trace: what ``load`` does to every trace, whichever reader made it.

A pass is a module of this folder with ``apply(trace, given) -> Trace``, and a line in PASSES. It returns the trace
itself where it has nothing to say, and never writes into a column: it replaces it (``CallTable.with_columns``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kfgraph.passes.given import Given

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace

__all__ = ["PASSES", "Given", "Pass", "apply"]


_TELL_COMMS = {"sched_process_exec", "sched_process_fork", "sched_switch", "sched_process_exit"}
_TELL_BIRTHS = {"sched_process_fork", "sched_wakeup_new", "task_newtask", "sched_process_free"}


def _always(trace: Trace, given: Given) -> bool:
    return True


def _with_companion(trace: Trace, given: Given) -> bool:
    return trace.companion is not None


def _with_probes(trace: Trace, given: Given) -> bool:
    return trace.companion is not None or len(trace.marks) > 0


def _without_companion(trace: Trace, given: Given) -> bool:
    return trace.companion is None and (len(trace.marks) > 0 or "probes" in trace.meta.details)


def _with_modules(trace: Trace, given: Given) -> bool:
    loaded = trace.companion is not None and bool(trace.companion.modules)
    return bool(given.modules) or (loaded and not bool(trace.symbols.resolved[1:].all()))


def _with_types(trace: Trace, given: Given) -> bool:
    return bool(given.btf)


def _with_switches(trace: Trace, given: Given) -> bool:
    return "sched_switch" in trace.marks.names


def _with_names(trace: Trace, given: Given) -> bool:
    return not _TELL_COMMS.isdisjoint(trace.marks.names)


def _with_births(trace: Trace, given: Given) -> bool:
    return not _TELL_BIRTHS.isdisjoint(trace.marks.names) or "schedule_tail" in trace.symbols.names


def _with_jumps(trace: Trace, given: Given) -> bool:
    return any(notice.code == "depth-jump" for notice in trace.notices)


@dataclass(frozen=True, eq=False, repr=False)
class Pass:
    """One pass: ``kfgraph.passes.NAME``, imported only where ``needed`` says that there is something for it."""

    name: str
    needed: Callable[[Trace, Given], bool] = _always


PASSES = (
    Pass("reused_pids", _with_births),
    Pass("irq_time"),
    Pass("jumps", _with_jumps),
    Pass("return_probes", _with_probes),
    Pass("command", _with_companion),
    Pass("comms", _with_names),
    Pass("module_names", _with_modules),
    Pass("probed_modules", _without_companion),
    Pass("return_types", _with_companion),
    Pass("user_types", _with_types),
    Pass("sleep", _with_switches),
)
"""Every pass, in the order in which they run."""


def apply(trace: Trace, given: Given) -> Trace:
    """The trace after all PASSES.

    Raises:
        InputError: a file that was given cannot be used.
    """
    for each in PASSES:
        if each.needed(trace, given):
            trace = import_module(f"kfgraph.passes.{each.name}").apply(trace, given)
    return trace
