"""The parts of a duration that are no work of the call: see ``PARTS`` of :mod:`kfgraph.model.calls`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.model.calls import PARTS, CallTable, Flag
from kfgraph.model.sparse import Sparse

PART_COLUMNS = tuple(f"{total}{name}" for name in PARTS for total in ("", "total_"))
"""The columns of a TreeTable that hold them, and those of every machine-readable format."""
UNKNOWN_COLUMNS = ("unknown_ns", "total_unknown_ns")
"""Those of time of which it is not known how much was off the CPU."""
TRACER_COLUMNS = ("tracer_ns", "total_tracer_ns", "uncertain_ns", "total_uncertain_ns")
"""Those of what tracing took, where times are estimates."""

_APART = np.uint32(Flag.IN_TRACER | Flag.INTERRUPT)


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """``own`` is the part of each call itself, ``total`` that in all of its duration."""

    own: Sparse
    total: Sparse


def part_columns(parts: Mapping[str, Part], rows: Int32) -> dict[str, Int64]:
    """The parts of these rows, by the names of the columns of a TreeTable."""
    columns: dict[str, Int64] = {}
    for name, part in parts.items():
        columns |= {name: part.own.at(rows), f"total_{name}": part.total.at(rows)}
    return columns


def told(columns: Mapping[str, Int64]) -> dict[str, Int64]:
    """``columns`` with -1, unknown, where no time off the CPU is known, but of some time nothing tells whether it was:
    a 0 would say that there was none."""
    if not all(name in columns for name in UNKNOWN_COLUMNS):
        return dict(columns)
    own, total = (columns[name] > 0 for name in UNKNOWN_COLUMNS)
    found = dict(columns)
    for name in ("asleep_ns", "preempted_ns"):
        for prefix, doubtful in (("", own), ("total_", total)):
            if (ns := columns.get(prefix + name)) is not None:
                found[prefix + name] = np.where(doubtful & (ns == 0), -1, ns)
    return found


def parts_of(calls: CallTable, left_out: Bool | None = None, *, irq: bool = True) -> Mapping[str, Part]:
    """The parts that the trace tells of, by the name of their column; without those of calls that are ``left_out``.

    What an interrupt is made of is all in the time that it took of the call it hit. ``irq``: with interrupts.
    """
    found = {}
    for name in PARTS:
        own = getattr(calls, name)
        if own is not None and (irq or name != "irq_ns"):
            own = own if left_out is None else own.where(~left_out)
            found[name] = Part(own, of_durations(calls, own))
    return found


def unknown_part(calls: CallTable, total_ns: Int64, parts: Mapping[str, Part]) -> Part | None:
    """The time of calls that were off the CPU for an unknown time: which part of it that was is not known. None: there
    is no such call. ``total_ns`` and ``parts`` are those of a selection.

    Where records of a call itself may have been lost, the switches that tell may be among them."""
    if "asleep_ns" not in parts:
        return None
    doubts = calls.has(Flag.OFF_CPU_UNKNOWN) | (calls.has(Flag.CUT_BY_LOSS) & calls.has(Flag.SELF_UNKNOWN))
    rows = np.flatnonzero(doubts & (total_ns >= 0)).astype(np.int32)
    if not len(rows):
        return None
    doubtful = np.zeros(len(calls) + 1, np.bool_)
    doubtful[rows] = True
    callee = np.flatnonzero(doubtful[calls.parent] & ((calls.flags & _APART & ~np.uint32(Flag.INTERRUPT)) == 0))
    in_callees = np.zeros(len(calls), np.int64)
    np.add.at(in_callees, calls.parent[callee], np.maximum(total_ns[callee], 0))
    part = Sparse.sums(rows, np.maximum(total_ns[rows] - in_callees[rows], 0))
    return Part(part, of_durations(calls, part))


def of_durations(calls: CallTable, own: Sparse) -> Sparse:
    """What is in the duration of each call: its own, and what its callees hold but for interrupts that hit it."""
    part, parts = own, [own]
    while len(part):
        goes_up = (calls.parent[part.rows] >= 0) & ((calls.flags[part.rows] & _APART) == 0)
        part = Sparse.sums(calls.parent[part.rows[goes_up]], part.values[goes_up])
        parts.append(part)
    return Sparse.sums(np.concatenate([part.rows for part in parts]), np.concatenate([part.values for part in parts]))
