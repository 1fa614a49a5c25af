"""kfgraph's own cost: the time in which the kernel set and removed its return probes, inside traced calls.

What sets a probe on a module that comes is in kernel/trace, which cannot be traced; it runs in the module notifier,
and so its time is the self time of that call. Other callbacks that are not traced share it: it is an upper bound. No
event is recorded where the setting begins or ends, so nothing tells more (what the gaps between the notifier's callees
tell lowers it by 0.02 % in a real insmod).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.kernel.loader import (
    INIT_CALLERS,
    MODULE_CALLBACKS,
    is_module_syscall,
    is_notifier,
    notifies_of_modules,
)
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import CallTable
from kfgraph.model.sparse import Sparse
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns, plural

LABEL = "kfgraph: setting return probes"
"""The name of its row."""
OF_OTHERS = "setting return probes"
"""The same where nothing tells that kfgraph set them."""


@dataclass(frozen=True, eq=False, repr=False)
class OwnCost:
    """The calls, by ``rows`` of the CallTable (ascending), whose self time is at most so many ``ns`` of kfgraph's.

    -1 where the self time is not known. ``label`` names it.
    """

    rows: Int32
    ns: Int64
    label: str = LABEL

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def known_ns(self) -> int:
        """The sum of what is known."""
        return int(self.ns[self.ns > 0].sum())

    @property
    def n_unknown(self) -> int:
        """The calls of which it is not known."""
        return int((self.ns < 0).sum())

    def __str__(self) -> str:
        """What a person reads where there is no room for a row."""
        return f"{self.label} took {self.at_most} in {plural(len(self), 'call')}"

    @property
    def at_most(self) -> str:
        """``≤ 602.915 ms``, ``≤ ?`` where some of it is not known."""
        return "≤ ?" if self.n_unknown else f"≤ {format_ns(self.known_ns)}"

    def without(self, self_ns: Int64) -> Int64:
        """The self times of all rows of the CallTable, less the cost."""
        less = self_ns.copy()
        less[self.rows[self.ns > 0]] = 0
        return less

    def only(self, rows: Bool) -> OwnCost:
        """The part in these rows of the CallTable."""
        kept = Sparse(self.rows, self.ns).where(rows)
        return OwnCost(kept.rows, kept.values, self.label)

    def of(self, rows: Int32) -> Int64:
        """The cost of each of these rows of the CallTable: 0 none, -1 unknown."""
        return Sparse(self.rows, self.ns).at(rows)


def own_cost(trace: Trace) -> OwnCost:
    """Where the kernel set and removed the return probes that kfgraph asked for on modules that came and went.

    The companion tells that there were any. Without one the events of return probes do, whoever set them.
    """
    if trace.companion is not None:
        probed = {_name(probe.module) for probe in trace.companion.probes if probe.module}
    else:
        probed = {_name(module) for module in trace.probed}
    if not probed:
        return OwnCost(np.zeros(0, np.int32), np.zeros(0, np.int64))
    calls = trace.calls
    rows = _of_modules(trace)
    # Where one notifier call makes another, the callbacks run in the inner one.
    rows = rows[~np.isin(rows, calls.parent[rows])]
    apart = [row for row, modules in _modules(trace, rows) if modules and not modules & probed]
    rows = rows[~np.isin(rows, apart)]
    ns = calls.self_ns[rows]
    for part in (calls.asleep_ns, calls.preempted_ns):
        # It waits for the other CPUs, too.
        if part is not None:
            ns = np.where(ns < 0, ns, ns + part.at(rows))
    label = LABEL if trace.companion is not None or "probes" in trace.meta.details else OF_OTHERS
    return OwnCost(rows[ns != 0], ns[ns != 0], label)


def _codes(trace: Trace, which: Callable[[str], bool]) -> Bool:
    return np.fromiter(map(which, trace.symbols.names), np.bool_, count=len(trace.symbols))


def _of_modules(trace: Trace) -> Int32:
    """The notifier calls that are about a module."""
    calls = trace.calls
    notifier = _codes(trace, is_notifier)
    rows = np.flatnonzero(notifier[calls.func]).astype(np.int32)
    parent = calls.parent[rows]
    above = np.where(parent >= 0, calls.func[parent], 0)
    found = _codes(trace, notifies_of_modules)[above] & (parent >= 0)
    # Recorded without its caller, or below one that was filtered out of the recording: its callees tell.
    callback = _codes(trace, lambda name: plain_name(name) in MODULE_CALLBACKS)
    found |= np.isin(rows, calls.parent[callback[calls.func] & (calls.parent >= 0)])
    inner = (parent >= 0) & notifier[above]
    while True:
        below = inner & ~found & np.isin(parent, rows[found])
        if not below.any():
            return rows[found]
        found |= below


def _modules(trace: Trace, rows: Int32) -> Iterator[tuple[int, set[str]]]:
    """Each of the notifier calls with the names of the modules that the load around it ran; none: unknown."""
    calls, symbols = trace.calls, trace.symbols
    around = _codes(trace, lambda name: notifies_of_modules(name) or is_notifier(name))
    runs = _codes(trace, lambda name: plain_name(name) in INIT_CALLERS or is_module_syscall(name))
    of_module = np.array([bool(module) for module in symbols.modules], np.bool_)
    seen: dict[int, set[str]] = {}
    for row in rows.tolist():
        load = row
        while calls.parent[load] >= 0 and around[calls.func[calls.parent[load]]]:
            load = int(calls.parent[load])
        if load not in seen:
            seen[load] = {_name(symbols.modules[code]) for code in _run(calls, load, runs, of_module).tolist()}
        yield row, seen[load]


def _run(calls: CallTable, load: int, runs: Bool, of_module: Bool) -> Int32:
    """The functions of a module that were run from the calls that run such, below ``load``."""
    inside = np.arange(load + 1, calls.end[load])
    inside = inside[of_module[calls.func[inside]]]
    return distinct(calls.func[inside[runs[calls.func[calls.parent[inside]]]]])


def _name(module: str) -> str:
    return module.replace("-", "_")
