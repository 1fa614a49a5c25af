"""Pairs that a text gives against those that the trace.dat of the same recording proves.

    PYTHONPATH=tests python tests/pairing/agreement.py TRACE.dat TEXT.txt.xz ...

A trace.dat has the function's name and its calltime in every exit record, a text mostly neither. A pair of
the text is *given up* if the trace.dat has a duration for that entry and the text none, and *wrong* if the
text has another duration than the trace.dat, or one where the trace.dat has none. Given up though the text has
no exit of that duration left over in that task is *absent*: ``report -I -S`` leaves an interrupt's exits out, and
of idle tasks (all pid 0) trace-cmd may print the exit of one in the line of another.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np

from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.parse import load

_COARSE = 10_000_000
"""From 10 ms on a text has fewer digits of a duration."""


@dataclass
class Agreement:
    """Counts, and the rows of the text for those that are not as they should be."""

    n_entries: int = 0
    n_proved: int = 0
    given_up: list[int] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    unmatched: int = 0
    """Entries of the text that were not found in the trace.dat."""


def entries(trace: Trace) -> dict[tuple[int, int], np.ndarray]:
    """(pid, CPU of an idle task) -> rows that have an entry record, in its order."""
    calls = trace.calls
    found: dict[tuple[int, int], np.ndarray] = {}
    for lane, task in enumerate(trace.tasks.tasks):
        first, end = np.searchsorted(calls.lane, [lane, lane + 1])
        rows = np.arange(first, end)
        found[task.pid, task.cpu] = rows[~calls.has(Flag.NO_ENTRY)[first:end]]
    return found


def compare(dat: Trace, text: Trace, *, decimals: int = 6) -> Agreement:
    """The pairs of ``text``, whose entries are some of ``dat``'s, in their order."""
    result = Agreement()
    truth = entries(dat)
    unit = 10 ** (9 - decimals)
    rebuilt = np.flatnonzero(text.calls.has(Flag.NO_ENTRY))
    left_over = set(zip(text.calls.lane[rebuilt].tolist(), text.calls.duration_ns[rebuilt].tolist(), strict=True))
    dat_start = (dat.calls.start_ns + unit // 2) // unit * unit
    for key, rows in entries(text).items():
        known = truth.get(key, np.empty(0, np.int64))
        starts = dat_start[known]
        at = 0
        for row in rows.tolist():
            result.n_entries += 1
            start = int(text.calls.start_ns[row])
            begin = at
            while at < len(known) and starts[at] < start:
                at += 1
            name = text.symbols.names[text.calls.func[row]]
            near = at
            while near < len(known) and starts[near] == start:
                if dat.symbols.names[dat.calls.func[known[near]]] == name:
                    break
                near += 1
            if near == len(known) or starts[near] != start:
                # A name may differ (a function without a symbol), a time not.
                if at == len(known) or starts[at] != start:
                    result.unmatched += 1
                    at = begin
                    continue
                near = at
            true, told = int(dat.calls.duration_ns[known[near]]), int(text.calls.duration_ns[row])
            at = near + 1
            result.n_proved += true >= 0
            if told < 0 <= true:
                left = (int(text.calls.lane[row]), true) in left_over
                (result.given_up if left else result.absent).append(row)
            elif told >= 0 and (true < 0 or abs(true - told) > (0 if true < _COARSE else 1000 + true // 100_000)):
                result.wrong.append(row)
    return result


def main() -> None:
    """The command line."""
    dat = load(sys.argv[1], reader="dat")
    for path in sys.argv[2:]:
        got = compare(dat, load(path))
        print(
            f"{path}: {got.n_entries} entries, {got.n_proved} proved, {len(got.given_up)} given up "
            f"({len(got.given_up) / max(got.n_proved, 1):.4%}), {len(got.absent)} absent, {len(got.wrong)} wrong, "
            f"{got.unmatched} unmatched"
        )


if __name__ == "__main__":
    main()
