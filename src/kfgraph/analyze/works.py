"""Work that a call gave to a worker: where it ran, and for how long. The events of work queues tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns

QUEUED, RUNS = "workqueue_queue_work", "workqueue_execute_start"
_WORK = re.compile(r"work struct[ =:]*(?:0x)?([0-9a-f]+)")
_FUNCTION = re.compile(r"function[ =:]+(\S+)")


@dataclass(frozen=True)
class Work:
    """A work item: the event that queued it in the call ``by`` (-1: in none recorded), at ``queued_ns``; the task that
    ran it from ``start_ns`` on, -1: not seen; its function, and the call of it, -1: not recorded."""

    by: int
    queued_ns: int
    lane: int
    start_ns: int
    function: str
    row: int


class Works:
    """The work items of a trace, by the call that queued them."""

    def __init__(self, trace: Trace, works: list[Work]) -> None:
        self._trace = trace
        self._by: dict[int, list[Work]] = {}
        for one in works:
            if one.by >= 0:
                self._by.setdefault(one.by, []).append(one)
        self.rows = np.array(sorted(self._by), np.int32)

    @classmethod
    def of(cls, trace: Trace) -> Works | None:
        """Those of a trace; None where it does not tell."""
        if QUEUED not in trace.marks.names:
            return None
        return cls(trace, works_of(trace))

    def given(self, row: int) -> list[Work]:
        """The work items that a call queued itself, in time order."""
        return self._by.get(row, [])

    def said(self, row: int) -> str:
        """``  → work foo_fn in kworker/0:1-22 after 12.3 us, 45.1 us``; of several the first, and how many more."""
        works = self.given(row)
        if not works:
            return ""
        one, trace = works[0], self._trace
        text = f"  → work {one.function or '?'}"
        if one.lane >= 0:
            text += f" in {trace.tasks[one.lane].label}"
            if 0 <= one.queued_ns <= one.start_ns:
                text += f" after {format_ns(one.start_ns - one.queued_ns, digits=1)}"
        if one.row >= 0 and trace.calls.duration_ns[one.row] >= 0:
            text += f", {format_ns(int(trace.calls.duration_ns[one.row]), digits=1)}"
        return spelt_out(text + (f" (and {len(works) - 1:,} more)" if len(works) > 1 else ""))

    def to_dicts(self, row: int) -> list[dict[str, Any]]:
        """As JSON has them: null where it is not known."""
        tasks = self._trace.tasks
        return [
            {
                "function": one.function or None,
                "pid": tasks[one.lane].pid if one.lane >= 0 else None,
                "comm": tasks[one.lane].comm or None if one.lane >= 0 else None,
                "queued_ns": one.queued_ns if one.queued_ns >= 0 else None,
                "start_ns": one.start_ns if one.lane >= 0 and one.start_ns >= 0 else None,
                "row": one.row if one.row >= 0 else None,
            }
            for one in self.given(row)
        ]


def works_of(trace: Trace) -> list[Work]:
    """The work items that were queued, in time order; each with the next run of the same item."""
    marks, calls = trace.marks, trace.calls
    events = [(at, work, True) for at, work in _items(trace, QUEUED)]
    events += [(at, work, False) for at, work in _items(trace, RUNS)]
    names = {int(address): trace.symbols.label(code) for code, address in enumerate(trace.symbols.addresses) if address}
    addresses = dict([*told(trace, QUEUED, "function"), *told(trace, RUNS, "function")])

    def named(at: int) -> str:
        """The function that an event names; "": it is not among those that were called."""
        if at in addresses:
            return names.get(addresses[at], "")
        said = _FUNCTION.search(marks.text[at])
        return said[1] if said else ""

    waiting: dict[int, int] = {}
    found: dict[int, Work] = {}
    for at, work, is_queued in sorted(events):
        if is_queued:
            waiting[work] = at
            found[at] = Work(int(marks.parent[at]), int(marks.time_ns[at]), -1, -1, named(at), -1)
        elif work in waiting:
            queued = waiting.pop(work)
            before, row = found[queued], int(marks.row[at])
            called = row < len(calls) and calls.lane[row] == marks.lane[at] and calls.parent[row] == marks.parent[at]
            function = named(at) or before.function
            # The next call is that of the work's function, unless that was not recorded.
            if not (called and _bare(trace.symbols.label(int(calls.func[row]))) == _bare(function)):
                row = -1
            lane, begins_ns = int(marks.lane[at]), int(marks.time_ns[at])
            found[queued] = Work(before.by, before.queued_ns, lane, begins_ns, function, row)
    return [found[at] for at in sorted(found)]


def _items(trace: Trace, event: str) -> list[tuple[int, int]]:
    """(mark, work item) of the events; of a text, which has no such field, by what is printed."""
    found = told(trace, event, "work")
    if found:
        return found
    marks = trace.marks
    said = ((at, _WORK.search(marks.text[at])) for at in marks.named(event).tolist())
    return [(at, int(work[1], 16)) for at, work in said if work]


def _bare(label: str) -> str:
    return label.partition(" ")[0]


def told(trace: Trace, event: str, name: str) -> list[tuple[int, int]]:
    """(mark, value) of a field that holds a number, or an address as text."""
    column = trace.marks.field(event, name)
    if column is None:
        return []
    values = column.values.tolist() if column.is_number else list(column.values)
    found = []
    for mark, value, known in zip(column.rows.tolist(), values, column.known.tolist(), strict=True):
        try:
            number = value if isinstance(value, int) else int(str(value).removeprefix("0x"), 16)
        except ValueError:
            continue
        if known:
            found.append((mark, number & (1 << 64) - 1))
    return found
