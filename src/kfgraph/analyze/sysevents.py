"""What events tell of system calls: numbers, arguments and results (sys_enter, sys_exit), and the paths that the kernel
read from the program (probes of ``kfgraph trace``). Each kind is read as columns, once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfgraph.analyze.forest import Int32
from kfgraph.analyze.sysexits import results_said
from kfgraph.kernel.syscall_handlers import PATH_EVENT
from kfgraph.kernel.syscall_numbers import names_by_number
from kfgraph.model.arrays import distinct
from kfgraph.model.trace import Trace

_ENTER, _EXIT = "sys_enter", "sys_exit"
_ARGUMENTS = re.compile(r"(?:\bargs=\{?|NR -?\d+ \()([0-9a-fx, ]+)")
_FAULT = "(fault)"
"""What a probe writes for a string that it could not read."""


@dataclass(frozen=True)
class SystemCallEvents:
    """``enters``, ``exits`` and ``paths`` are marks, in time order; the rest says by mark what is known of it.

    ``named`` gives the system call that a mark is about, ``result`` what an exit returned, ``path`` what a probe read
    and ``pointer`` the program's address of it.
    """

    enters: Int32
    exits: Int32
    paths: Int32
    named: dict[int, str]
    result: dict[int, int]
    path: dict[int, str]
    pointer: dict[int, int]


def system_call_events(trace: Trace) -> SystemCallEvents:
    """All that the marks of ``trace`` say of system calls."""
    marks = trace.marks
    enters, exits = _marks_of(trace, _ENTER), _marks_of(trace, _EXIT)
    paths = _marks_where(trace, [name.startswith(PATH_EVENT) for name in marks.names])
    named = {**_named_by(trace, enters, _ENTER), **_named_by(trace, exits, _EXIT)}
    values, known = results_said(trace, exits)
    result = dict(zip(exits[known].tolist(), values[known].tolist(), strict=True))
    path: dict[int, str] = {}
    pointer: dict[int, int] = {}
    for name in dict.fromkeys(marks.names[code] for code in distinct(marks.name[paths]).tolist()):
        path |= {mark: said.strip('"') for mark, said in _column(trace, name, "path") if said.strip('"') != _FAULT}
        pointer |= {mark: value for mark, value in _column(trace, name, "user") if isinstance(value, int)}
    return SystemCallEvents(enters, exits, paths, named, result, path, pointer)


def entered_names(trace: Trace) -> dict[int, str]:
    """The system call that each mark of an entry is about, in time order."""
    return _named_by(trace, _marks_of(trace, _ENTER), _ENTER)


def _named_by(trace: Trace, events: Int32, kind: str) -> dict[int, str]:
    """The system call that each of these marks is about: by the event's own name, or by the number in it."""
    marks = trace.marks
    named = {
        mark: name
        for mark in events.tolist()
        if (name := marks.names[marks.name[mark]].removeprefix(kind).removeprefix("_"))
    }
    numbers = names_by_number(trace.meta.arch)
    for mark, number in _column(trace, kind, "id"):
        named[mark] = numbers.get(number) or f"system call {number}"
    return dict(sorted(named.items()))


def arguments_of(text: str) -> list[int]:
    """The registers of a raw sys_enter event, from its text; none where it shows none."""
    told = _ARGUMENTS.search(text)
    return [int(word, 16) for word in told[1].replace(",", " ").split()] if told else []


def _marks_of(trace: Trace, kind: str) -> Int32:
    return _marks_where(trace, [name == kind or name.startswith(f"{kind}_") for name in trace.marks.names])


def _marks_where(trace: Trace, wanted: list[bool]) -> Int32:
    codes = np.array(wanted, np.bool_)
    return np.flatnonzero(codes[trace.marks.name]).astype(np.int32) if codes.any() else np.zeros(0, np.int32)


def _column(trace: Trace, event: str, name: str) -> list[tuple[int, Any]]:
    """(mark, value) of one field of an event, where it is known; numbers where all are numbers."""
    field = trace.marks.field(event, name)
    if field is None:
        return []
    known = np.flatnonzero(field.known).tolist()
    values = field.values[known].tolist() if field.is_number else [field.values[i] for i in known]
    return list(zip(field.rows[known].tolist(), values, strict=True))
