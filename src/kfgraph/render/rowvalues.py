"""What stands beside a call on request (``show --with``): arguments, what it returned, where it ran, how long."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property

import numpy as np

from kfgraph.analyze.callsites import CallSites
from kfgraph.analyze.retval import returned_type, value_text, values_of
from kfgraph.kernel.argument_text import word_by_name
from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable

TIMES = ("oncpu", "asleep", "preempted", "irq")
"""Columns of numbers, which a merged tree has as well."""
WORDS = ("args", "returns", "cpu", "caller", "site", *TIMES)
_NUMBER = re.compile(r"(\w+)=(-?(?:0x[0-9a-f]+|[0-9]+))")
_KERNEL_POINTER = re.compile(r"\b0x([89a-f][0-9a-f]{15})\b")


class RowValues:
    """The values of the nodes of ``tree``, a tree of single calls of ``trace``; ``wanted`` are some of WORDS. ``sites``
    tells file and line of calls."""

    def __init__(
        self, trace: Trace, tree: TreeTable, wanted: Collection[str], sites: CallSites | None = None
    ) -> None:
        self._sites = CallSites(trace) if sites is None else sites
        self._trace = trace
        self._row = tree.row
        self._wanted = frozenset(wanted)

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of WORDS that are wanted and of which the trace holds nothing."""
        calls = self._trace.calls
        has = {"args": calls.args is not None, "returns": calls.retval is not None, "cpu": bool((calls.cpu >= 0).any())}
        has |= dict.fromkeys(TIMES, calls.asleep_ns is not None) | {"irq": calls.irq_ns is not None}
        has |= {"caller": calls.caller is not None, "site": calls.caller_offset is not None}
        return tuple(word for word in WORDS if word in self._wanted and not has[word])

    def args(self, node: int) -> str:
        """``(a=1, flags=0x3)``, with pointers shortened; "" where none were recorded."""
        calls, row = self._trace.calls, int(self._row[node])
        if "args" not in self._wanted or row < 0 or calls.args is None:
            return ""
        text = calls.args.text(row)
        if not text:
            return ""
        words = (self._worded(row, place, one) for place, one in enumerate(text.split(", ")))
        return f"({shortened(spelt_out(', '.join(words)))})"

    def _worded(self, row: int, place: int, argument: str) -> str:
        """``flags=0x2`` -> ``flags=O_RDWR``, where the value has a name."""
        said = _NUMBER.fullmatch(argument)
        trace = self._trace
        if said is None or trace.calls.args is None:
            return argument
        name, value = said[1], int(said[2], 0)
        word = trace.calls.args.word(row, place, value)
        if not word:
            function = trace.symbols.names[int(trace.calls.func[row])].partition(".")[0]
            word = word_by_name(function, name, value, arch=trace.meta.arch)
        return f"{name}={word}" if word else argument

    def returns(self, node: int) -> str:
        """`` = 3``, `` = NULL``, `` = true``; "" where nothing was recorded or nothing is returned."""
        if "returns" not in self._wanted or int(self._row[node]) < 0:
            return ""
        values, known = self._values
        if not known[node]:
            return ""
        told = returned_type(self._trace.symbols, int(self._trace.calls.func[self._row[node]]))
        return f" = {shortened(value_text(int(values[node]), told))}"

    def cpu(self, node: int) -> str:
        """``  CPU 1``, ``  CPU 1→3`` of a call that ended on another one; "" where it is not told."""
        calls, row = self._trace.calls, int(self._row[node])
        if "cpu" not in self._wanted or row < 0 or calls.cpu[row] < 0:
            return ""
        begin, end = int(calls.cpu[row]), int(calls.exit_cpu[row])
        return f"  CPU {begin}" + (f"→{end}" if end >= 0 and end != begin else "")

    def caller(self, node: int) -> str:
        """``  ← f``: what called it by its return address, where that is not the call above it; "" elsewhere."""
        calls, row = self._trace.calls, int(self._row[node])
        if "caller" not in self._wanted or row < 0 or calls.caller is None or not calls.caller[row]:
            return ""
        above = int(calls.parent[row])
        if above >= 0 and calls.func[above] == calls.caller[row]:
            return ""
        return f"  ← {spelt_out(self._trace.symbols.labels[int(calls.caller[row])])}"

    def site(self, node: int) -> str:
        """``  at fs/open.c:1529``, ``  at vfs_open+0x2e``: where its caller called it; ``  returns to ...`` where the
        call above it jumped to it. "" where it is not told."""
        site = self._sites.of(int(self._row[node])) if "site" in self._wanted else None
        return "" if site is None else spelt_out(f"  {'returns to' if site.jumped else 'at'} {site.place}")

    @cached_property
    def _values(self) -> tuple[np.ndarray, np.ndarray]:
        values, has = values_of(self._trace.calls, self._trace.symbols, np.maximum(self._row, 0))
        return values, has & (self._row >= 0)


def shortened(text: str) -> str:
    """Addresses of the kernel by their last six digits: the same address is the same text all through a trace."""
    return _KERNEL_POINTER.sub(lambda found: f"0x…{found[1][-6:]}", text)
