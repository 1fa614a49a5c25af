"""Failures of a module's functions that the kernel called and whose error it did not pass on (a driver's probe), and
what its caller made of that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kfgraph.analyze.blame import Blame, Link, blame
from kfgraph.analyze.outcomes import Kind, Outcomes, children_of
from kfgraph.kernel import unwinding
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.trace import Trace


def swallowed(trace: Trace, seen: Outcomes) -> list[int]:
    """Failing calls of module functions that the kernel called, and whose error it did not pass on. A module that
    ignores what its own function returned has decided so."""
    calls, modules = trace.calls, trace.symbols.modules
    of_module = np.array([bool(module) for module in modules], np.bool_)
    ours = {m.name for m in trace.companion.modules} if trace.companion is not None else set()
    if ours:
        of_module &= np.array([module in ours for module in modules], np.bool_)
    rows = np.flatnonzero(of_module[calls.func] & (seen.errors != 0))
    if not ours and trace.command_lanes is not None:
        rows = rows[np.isin(calls.lane[rows], sorted(trace.command_lanes))]
    found = []
    for row in rows.tolist():
        parent = int(calls.parent[row])
        name = seen.name(row)
        if parent >= 0 and of_module[calls.func[parent]]:
            continue
        # Without a type -1 is any number, and what gives back may have left it in the register.
        odd = seen.errors[row] == -1 or unwinding.decides_nothing(name) or unwinding.tells(name)
        if not seen.typed(row) and (odd or unwinding.gives_back(name)):
            continue
        found.append(row)
    return found


def led_into_swallowed(trace: Trace, seen: Outcomes, found: Blame) -> Blame:
    """``found``, led on into a failure that the kernel did not pass on, if it happened in the last thing that the
    birthplace did before it gave up: a driver's init that looks whether its probe has succeeded."""
    calls, last = trace.calls, found.chain[-1]
    if not last.error or len(found.chain) < 2:
        return found
    inside = [r for r in swallowed(trace, seen) if last.row < r < calls.end[last.row]]
    if not inside:
        return found
    failed = inside[-1]
    above = failed
    while calls.parent[above] != last.row:
        above = int(calls.parent[above])
    after = [r for r in children_of(trace, last.row) if r > above and seen.kind(r, last.error) is not Kind.IDLE]
    went_on = not all(unwinding.follows_failure(seen.name(r)) for r in after)
    if went_on or calls.context[failed] != calls.context[last.row]:
        return found
    deeper = blame(trace, failed, int(seen.errors[failed]), seen, evidence="it failed, and its caller went on")
    said = errno_name(-int(seen.errors[failed]), arch=trace.meta.arch)
    doubt = f"{seen.plain(failed)} returned -{said}, which the kernel did not pass on"
    doubt += f"; {seen.plain(last.row)} gave up after it"
    way = [Link(above, 0, seen.value_text(above), "it ran what failed")] if above != failed else []
    candidates = dict.fromkeys([deeper.chain[-1].row, last.row, *deeper.candidates, *found.candidates])
    return replace(
        found, chain=(*found.chain, *way, *deeper.chain), exact=deeper.exact, sure=False,
        doubts=(*found.doubts, doubt, *deeper.doubts), candidates=tuple(candidates)[:3],
    )  # fmt: skip
