"""Where an error may have been born if no value tells: an inference from names and from the order of calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kfgraph.analyze.forest import Int32, covered
from kfgraph.analyze.outcomes import EACCES, ENOMEM, EPERM, Kind, Outcomes, children_of
from kfgraph.kernel import unwinding
from kfgraph.kernel.errors_made import MODULES, makes
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace


def by_shape(trace: Trace, seen: Outcomes, row: int, error: int) -> list[int]:
    """Where the error may have been born from ``row`` down if no value tells, at most three, the likeliest first.

    What is known to make this error comes first: the deepest on the way of what ran last, and what ended last beside
    it. Then down through what each ran last before it gave back what it had: an inference from names and order. In a
    module of one's own the last of its functions counts, and what it called of the kernel last. What ran last may have
    been a part of giving up that is not named so: then it was what ran before it.
    """
    path, modules = _ran_last(trace, seen, row, error), trace.symbols.modules
    if not _is_of_module(trace, path):
        if (above := int(trace.calls.parent[row])) >= 0:
            # It may have been another of its caller's: the name of ``row`` alone did not tell.
            path = _ran_last(trace, seen, above, error)
        named: dict[str, int] = {}
        for r in [*_known_makers(trace, seen, path, error), *reversed(path)]:
            named.setdefault(plain_name(seen.name(r)), r)
        return list(named.values())[:3]
    own = [i for i, r in enumerate(path) if modules[int(trace.calls.func[r])]]
    if own and own[-1] < len(path) - 1:
        last = own[-1]
        below = [r for i, r in enumerate(path) if i > last and (i == last + 1 or not _hands_on(seen, trace, r))]
        # Who waited for another task last may have got the error from there.
        begun = [r for r in children_of(trace, path[last]) if not unwinding.decides_nothing(seen.name(r))]
        waited = any(r > path[last + 1] and unwinding.waits(seen.name(r)) for r in begun)
        return [*(below[:2] if waited else below), path[last]][:3]
    before = _ran_before(trace, seen, path, error) if own else -1
    if before < 0:
        return path[::-1][:3]
    return [path[-1], path[-2], _ran_last(trace, seen, before, error)[-1]]


def _is_of_module(trace: Trace, path: Sequence[int]) -> bool:
    """Whether a call of ``path`` is of a module whose functions' errors are not known."""
    return not {trace.symbols.modules[int(trace.calls.func[row])] for row in path} <= {"", *MODULES}


def _known_makers(trace: Trace, seen: Outcomes, path: Sequence[int], error: int) -> list[int]:
    """The calls from the first of ``path`` down that are known to make this error, the likeliest first."""
    calls = trace.calls
    rows = _may_have_carried(trace, seen, path, error)
    codes = distinct(calls.func[rows]).tolist()
    making = [code for code in codes if makes(trace.symbols.names[code], error, arch=trace.meta.arch)]
    found = [r for r in rows[np.isin(calls.func[rows], making)].tolist() if not seen.known(r) or seen.errors[r]]
    among = set(found)
    on_way = [r for r in reversed(path) if r in among]
    # Of callers and callees the deepest: what it called made the error, as it may have, too.
    following = [*found[1:], int(calls.end[path[0]])]
    deepest = [r for r, later in zip(found, following, strict=False) if later >= calls.end[r]]
    beside = sorted((r for r in deepest if r not in path), key=lambda r: -int(calls.end[r]))
    # A system call's handler makes most of its errors before it calls anything.
    handlers = [r for r in on_way if system_call_of(plain_name(seen.name(r)))]
    on_way = [r for r in on_way if r not in handlers]
    return [*on_way[:1], *beside[:1], path[-1], *on_way[1:], *handlers]


def _may_have_carried(trace: Trace, seen: Outcomes, path: Sequence[int], error: int) -> Int32:
    """The calls from the first of ``path`` down, without interrupts, clean-up, messages, and what ran in a call that
    returned something else."""
    calls, first = trace.calls, path[0]
    rows = np.arange(first, int(calls.end[first]), dtype=np.int32)
    apart = (calls.flags[rows] & np.uint32(Flag.INTERRUPT)) != 0
    if (own := int(calls.context[first])) != UNKNOWN_CONTEXT:
        apart |= calls.context[rows] != own
    named = [(code, trace.symbols.names[code]) for code in distinct(calls.func[rows]).tolist()]
    aside = [code for code, name in named if unwinding.gives_back(name) or unwinding.decides_nothing(name)]
    apart |= np.isin(calls.func[rows], aside)
    if calls.retval is not None:
        known = rows[(calls.flags[rows] & np.uint32(Flag.HAS_RETVAL)) != 0]
        apart[[r - first for r in known.tolist() if seen.kind(r, error) in (Kind.FINE, Kind.OTHER)]] = True
    apart[[r - first for r in path]] = False
    tops = rows[apart]
    inside = covered(tops - first, calls.end[tops] - first, len(rows))
    kept: Int32 = rows[inside == 0]
    return kept


def _ran_last(trace: Trace, seen: Outcomes, row: int, error: int) -> list[int]:
    """The calls from ``row`` down, each the last one of its caller that may have failed."""
    path, modules = [row], trace.symbols.modules
    while True:
        children = children_of(trace, path[-1])
        likely = [r for r in children if _may_have_failed(seen, r, error)]
        if plain_name(seen.name(path[-1])) in LOADER_FUNCTIONS:
            # It tells of a module that is going, too.
            likely = [r for r in likely if "notifier" not in seen.name(r)]
        # Where all give something back, it is that which failed.
        likely = [r for r in likely if _makes(seen, r, error) or not unwinding.may_give_up(seen.name(r))] or likely
        likely = likely or [r for r in children if modules[int(trace.calls.func[r])] and not seen.known(r)]
        if not likely:
            return path
        path.append(_with_callback(trace, path, likely) or likely[-1])


def _with_callback(trace: Trace, path: Sequence[int], likely: Sequence[int]) -> int:
    """The last of ``likely``, callees of the kernel, in which the module that had called it ran again; 0 if none."""
    calls, modules = trace.calls, trace.symbols.modules
    own = {modules[int(calls.func[r])] for r in path} - {""}
    if not own or modules[int(calls.func[path[-1]])]:
        return 0
    codes = np.flatnonzero([module in own for module in modules])
    return next((r for r in reversed(likely) if np.isin(calls.func[r : int(calls.end[r])], codes).any()), 0)


def _hands_on(seen: Outcomes, trace: Trace, row: int) -> bool:
    """Whether all that the call did was to call one other function: the error is more likely that one's."""
    return len([r for r in children_of(trace, row) if not unwinding.decides_nothing(seen.name(r))]) == 1


def _ran_before(trace: Trace, seen: Outcomes, path: Sequence[int], error: int) -> int:
    """The module's function that ran before the last of ``path`` in the same caller, another one; -1 if none."""
    if len(path) < 2:
        return -1
    func, modules, last = trace.calls.func, trace.symbols.modules, path[-1]
    for r in reversed(children_of(trace, path[-2])):
        if r < last and func[r] != func[last] and modules[int(func[r])] and _may_have_failed(seen, r, error):
            return r
    return -1


def _makes(seen: Outcomes, row: int, error: int) -> bool:
    return makes(seen.name(row), error, arch=seen.trace.meta.arch)


def _may_have_failed(seen: Outcomes, row: int, error: int) -> bool:
    name = seen.name(row)
    if not seen.known(row) and _makes(seen, row, error):
        return True
    if unwinding.decides_nothing(name) or unwinding.gives_back(name) or unwinding.tells(name):
        return False
    if seen.known(row):
        return bool(seen.errors[row])
    # Too little memory is what an allocator says, and nothing else.
    if unwinding.asks(name) and -error not in (EPERM, EACCES):
        return False
    return seen.returns(row)[0] and (-error == ENOMEM or not unwinding.allocates_memory(name))
