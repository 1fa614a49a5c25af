"""What to record in another run, so that an answer that lacks return values gets them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from kfgraph.analyze.outcomes import Outcomes
from kfgraph.analyze.why import SECCOMP_FILTER, Why
from kfgraph.kernel.interrupts import level_of
from kfgraph.kernel.loader import MAX_PROBES, NOT_WORTH_A_PROBE
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.kernel.unwinding import decides_nothing, gives_back
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import UNKNOWN_CONTEXT
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace

_HOT = 2_000
"""A function that is called so often in a trace costs more by its probe than it tells."""


def functions_to_probe(
    answer: Why, *, without: Collection[str] = (), limit: int = MAX_PROBES
) -> tuple[str, ...]:
    """Functions of the failing path whose return values are not known, the nearest to the failure first; none where
    the answer needs none.

    They are those below the last call that is known to have carried the error: first its direct callees, then
    what these called. Names as the kernel has them; ``without`` are left out.
    """
    row = answer.chain[-1].row if answer.chain else answer.row
    if row < 0 and answer.failure is not None:
        return tuple(name for name in _filters(answer) if name not in without)[:limit]
    if row < 0 or not answer.has_failed or (answer.birth is not None and answer.birth.exact):
        return ()
    trace = answer.trace
    seen = Outcomes(trace)
    calls = trace.calls
    rows = np.arange(row, int(calls.end[row]))
    own = int(calls.context[row])
    if own != UNKNOWN_CONTEXT:
        rows = rows[calls.context[rows] == own]
    # By level, of one level the last first: the error comes from the end.
    rows = rows[np.lexsort((-rows, calls.level[rows]))]
    # Those of modules that the command loads get their probes when it does.
    loaded = {module.name for module in trace.companion.modules} if trace.companion is not None else set()
    n_calls = np.bincount(calls.func, minlength=len(trace.symbols))
    # Where the system call itself takes something away (kill, unlink, close), so named functions do its work.
    undoes = answer.row >= 0 and gives_back(seen.name(answer.row))
    found: dict[str, None] = {}
    for at in rows[n_calls[calls.func[rows]] <= _HOT].tolist():
        name = seen.name(at)
        if len(found) >= limit:
            break
        if name in without or seen.known(at) or (gives_back(name) and not undoes):
            continue
        if _tells(trace, seen, at, name, loaded):
            found[name] = None
    return tuple(found)


def _filters(answer: Why) -> list[str]:
    """The seccomp filter that ran for a call that had no handler: its value says whether it refused the call."""
    trace, failure = answer.trace, answer.failure
    assert failure is not None
    begin, end = trace.calls.bounds_of(failure.lane)
    names = (trace.symbols.names[code] for code in distinct(trace.calls.func[begin:end]).tolist())
    return [name for name in names if plain_name(name) == SECCOMP_FILTER]


def _tells(trace: Trace, seen: Outcomes, row: int, name: str, loaded: set[str]) -> bool:
    """Whether the value of this call would say something."""
    bare = plain_name(name)
    return bool(
        trace.symbols.resolved[trace.calls.func[row]]
        and trace.symbols.modules[trace.calls.func[row]] not in loaded
        and ".isra" not in name
        and not level_of(bare)
        and bare not in NOT_WORTH_A_PROBE
        and not system_call_of(name)
        and not decides_nothing(name)
        and seen.returns(row)[0]
    )
