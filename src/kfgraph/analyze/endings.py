"""How the tasks of a trace ended, where their exit was recorded with its argument."""

from __future__ import annotations

import re

import numpy as np

from kfgraph.analyze.sysevents import arguments_of, entered_names
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace

_EVENT = re.compile(r"error_code[=:]\s*(0x[0-9a-f]+|-?\d+)")
_EXITS = ("do_group_exit", "do_exit")
_ARGUMENT = re.compile(r"\b(?:exit_)?code=(0x[0-9a-f]+|-?\d+)")


def exit_codes(trace: Trace) -> dict[int, int]:
    """Lane -> the exit status of its task: 0 to 255, 128 and the signal that ended it.

    From the events of ``exit`` and ``exit_group``, else from the arguments of the functions that end a task.
    """
    codes = _by_arguments(trace)
    marks = trace.marks
    for mark, name in entered_names(trace).items():
        if name in ("exit_group", "exit"):
            text = marks.text[mark]
            told = _EVENT.search(text)
            registers = arguments_of(text)
            if told or registers:
                codes[int(marks.lane[mark])] = (int(told[1], 0) if told else registers[0]) & 0xFF
    return codes


def _by_arguments(trace: Trace) -> dict[int, int]:
    """As a wait status: the code in the second byte, a signal in the first (include/uapi/linux/wait.h)."""
    calls, codes = trace.calls, dict[int, int]()
    if calls.args is None:
        return codes
    ends = trace.symbols.codes_where(plain_name(name) in _EXITS for name in trace.symbols.names)
    for row in np.flatnonzero(np.isin(calls.func, ends)).tolist():
        told = _ARGUMENT.search(calls.args.text(row) or "")
        if told:
            status = int(told[1], 0)
            codes[int(calls.lane[row])] = 128 + (status & 0x7F) if status & 0x7F else status >> 8 & 0xFF
    return codes


def knows_end(trace: Trace, lane: int) -> bool:
    """Whether the trace tells how the command, or the task of ``lane``, ended."""
    known = trace.companion is not None and trace.companion.exit_status is not None
    return known or lane in exit_codes(trace)
