"""Where calls stand in their callers, by the return address that the trace recorded: file and line, or ``f+0x12``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.debuginfo import read
from kfgraph.model.calls import CallTable
from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    from kfgraph.kernel.sourcelines import DebugInfo, SourceLine

Int32 = npt.NDArray[np.int32]
Rows = npt.NDArray[np.integer[Any]] | slice
_OFFSET = 0xFFFFFFFF
"""The bits of a key that are the offset; those above are the caller's code."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class CallSite:
    """What a call returns to: ``offset`` bytes behind the beginning of ``caller`` (a label). ``line`` is the line of
    the call there, as far as debug info tells it. ``jumped``: that is the call of its parent, which jumped to the
    function at its own end; where it did so is not known."""

    caller: str
    offset: int
    line: SourceLine | None
    jumped: bool

    def to_dict(self) -> dict[str, Any]:
        """What ``kfgraph why --json`` prints."""
        line = self.called_in
        told = {"file": line and line.file, "line": line and line.line}
        return {"caller": self.caller, "offset": self.offset, **told}

    @property
    def called_in(self) -> SourceLine | None:
        """The line of the call; None where that is not known."""
        return None if self.jumped else self.line

    @property
    def place(self) -> str:
        """``fs/open.c:1529``, or ``filp_close+0x1d``."""
        name, _, module = self.caller.partition(" ")
        return str(self.line) if self.line else f"{name}+0x{self.offset:x}" + (f" {module}" if module else "")

    def __str__(self) -> str:
        return f"{'returns to' if self.jumped else 'called at'} {self.place}"


class CallSites:
    """The call sites of the rows of ``trace``; ``debug_info`` tells their lines. Each is looked for once."""

    def __init__(self, trace: Trace, debug_info: Sequence[DebugInfo] = ()) -> None:
        self._trace, self._infos = trace, debug_info
        self._lines: dict[int, SourceLine | None] = {}

    @classmethod
    def told(cls, trace: Trace, debug_info: Sequence[str | Path]) -> CallSites:
        """With the lines that these files tell.

        Raises:
            InputError: a file is not there, has no debug info, or is another kernel's.
        """
        return cls(trace, read(debug_info, trace))

    @staticmethod
    def recorded(calls: CallTable) -> bool:
        """Whether the trace tells of any."""
        return calls.caller_offset is not None

    def look_for(self, rows: npt.NDArray[np.integer[Any]] | None = None) -> None:
        """Find the lines of all these calls in one go; None: of all calls."""
        if not self.recorded(self._trace.calls) or not self._infos:
            return
        n = len(self._trace.calls) if rows is None else len(rows)
        keys: set[int] = set()
        for first in range(0, n, _CHUNK):
            part = slice(first, first + _CHUNK)
            keys.update(np.unique(self._keys(part if rows is None else rows[part])).tolist())
        self._find(keys - {-1})

    def of(self, row: int) -> CallSite | None:
        """That of one call; None where it was not recorded."""
        calls = self._trace.calls
        if row < 0 or calls.caller is None or calls.caller_offset is None or calls.caller_offset[row] < 0:
            return None
        return self.each(np.array([row]))[0][0]

    def each(self, rows: npt.NDArray[np.integer[Any]]) -> tuple[list[CallSite], npt.NDArray[np.int64]]:
        """(the sites of these calls, each once; which of them each call has, -1: none)."""
        keys = self._keys(rows)
        told, which = np.unique(np.where(keys < 0, -1, 2 * keys + self.jumped(rows)), return_inverse=True)
        pairs = [divmod(one, 2) for one in told.tolist() if one >= 0]
        self._find({key for key, _ in pairs})
        labels = self._trace.symbols.labels
        sites = [CallSite(labels[key >> 32], key & _OFFSET, self._lines[key], bool(jumped)) for key, jumped in pairs]
        return sites, which.reshape(-1) - (len(told) - len(pairs))

    def modules(self, rows: npt.NDArray[np.integer[Any]]) -> set[str]:
        """Those that hold the call sites of these calls; "" is the kernel."""
        calls, modules = self._trace.calls, self._trace.symbols.modules
        if calls.caller is None or calls.caller_offset is None:
            return set()
        return {modules[code] for code in calls.caller[rows[calls.caller_offset[rows] >= 0]].tolist()}

    def texts(self, rows: npt.NDArray[np.integer[Any]]) -> list[str | None]:
        """File and line of each of these calls; None where that is not known."""
        sites, which = self.each(rows)
        lines = [None if site.called_in is None else str(site.called_in) for site in sites]
        return [lines[at] if at >= 0 else None for at in which.tolist()]

    def jumped(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Which of these calls return to where their parent does: it jumped to them at its end, instead of a call."""
        calls = self._trace.calls
        parent = calls.parent[rows]
        same = (parent >= 0) & (calls.func[parent] != calls.func[rows])
        keys = self._keys(rows)
        found: npt.NDArray[np.bool_] = same & (keys >= 0) & (keys == self._keys(parent))
        return found

    def _keys(self, rows: Rows) -> npt.NDArray[np.int64]:
        """One number for each pair of caller and offset; -1 where they were not recorded."""
        calls = self._trace.calls
        if calls.caller is None or calls.caller_offset is None:
            raise ValueError("no return addresses were recorded")
        offset = calls.caller_offset[rows].astype(np.int64)
        return np.where(offset < 0, -1, (calls.caller[rows].astype(np.int64) << 32) | offset)

    def _find(self, keys: Iterable[int]) -> None:
        new = [key for key in keys if key not in self._lines]
        self._lines.update(dict.fromkeys(new))
        symbols = self._trace.symbols
        for info in self._infos:
            sites = {
                (symbols.names[key >> 32], key & _OFFSET): key
                for key in new
                if symbols.modules[key >> 32] == info.module and symbols.resolved[key >> 32]
            }
            if sites:
                found = info.calls(sites)
                self._lines.update({sites[site]: line for site, line in found.items()})


def callers_of(trace: Trace, sites: CallSites | None) -> Callable[[Int32], dict[str, list[Any]]]:
    """What tells, of some rows, by whom each was called, as columns: those that the trace has. None: not known.

    ``caller`` (a label) is the function that the return address is in, ``caller_offset`` how many bytes behind its
    beginning, and ``call_site``, where debug info was given, file and line of the call there.
    """
    calls, labels = trace.calls, [None, *trace.symbols.labels[1:]]

    def columns(rows: Int32) -> dict[str, list[Any]]:
        if calls.caller is None:
            return {}
        found: dict[str, list[Any]] = {"caller": [labels[code] for code in calls.caller[rows].tolist()]}
        if calls.caller_offset is not None:
            found["caller_offset"] = [at if at >= 0 else None for at in calls.caller_offset[rows].tolist()]
            if sites is not None:
                found["call_site"] = sites.texts(rows)
        return found

    return columns
