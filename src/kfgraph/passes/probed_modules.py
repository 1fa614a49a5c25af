"""In which modules return probes were set, where no companion tells: their events in the trace do.

An event of a return probe holds the address of its function and where that returned to (print_kretprobe_event and
the print format of such an event, kernel/trace/trace_kprobe.c). Probes that were never hit have no event.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from kfgraph.errors import notice
from kfgraph.model.files import COMPANION_SUFFIX
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

_FUNCTION = (
    re.compile(r"__probe_func=0x(?P<address>[0-9a-f]{1,16})\b"),
    # As trace-cmd prints it: the function comes first.
    re.compile(r"\((?P<address>[0-9a-f]{6,16}) <- [0-9a-f]{6,16}\)"),
    # As the kernel prints it: last.
    re.compile(r"\(\S+(?: \[\S+\])? <- 0x(?P<address>[0-9a-f]{1,16})\)"),
    re.compile(r"\(\S+(?: \[\S+\])? <- \S+ \[(?P<module>[^\]]+)\]\)"),
)


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with the modules in which a return probe was hit; ``""`` stands for one that is gone."""
    notifies = any("notifier_call_chain" in name for name in trace.symbols.names)
    if notifies and len(trace.marks):
        trace = replace(trace, probed=frozenset(_probed(trace)))
    unread = any(each.code.startswith("companion") for each in trace.notices)
    if "probes" in trace.meta.details and not unread:  # the file describes events of kfgraph's
        kind = "companion-missing:cost" if notifies and not trace.probed else "companion-missing"
        name = "TRACE" if trace.meta.again.startswith("TRACE") else trace.meta.path
        trace = replace(trace, notices=(*trace.notices, notice(kind, file=f"{name}{COMPANION_SUFFIX}")))
    return trace


def _probed(trace: Trace) -> set[str]:
    marks, symbols = trace.marks, trace.symbols
    first = np.full(len(marks.names), -1)
    first[marks.name[::-1]] = np.arange(len(marks))[::-1]
    named = bool(symbols.resolved.any())
    found = set()
    # A probe has one function, and its events one name.
    for mark in first[first >= 0].tolist():
        text = marks.text[mark]
        told = next((match for match in (form.match(text) for form in _FUNCTION) if match), None)
        if told is None:
            continue
        module = told.groupdict().get("module") or _module_at(symbols, int(told["address"], 16), named=named)
        if module is not None:
            found.add(module)
    return found


def _module_at(symbols: SymbolTable, address: int, *, named: bool) -> str | None:
    """The module of the function at ``address``: "" if it is gone. None: the kernel's own, or not told."""
    codes = np.flatnonzero(symbols.addresses == np.uint64(address))
    if not address or not len(codes):
        return None
    code = int(codes[0])
    if symbols.resolved[code]:
        return symbols.modules[code] or None
    # Where nothing has a name, a function without one is as likely the kernel's.
    return "" if named else None
