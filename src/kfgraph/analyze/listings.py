"""Lists of calls, errors and system calls, as a library user has them: as rows, as text, in a notebook, in pandas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np

from kfgraph.analyze.callframe import call_frame
from kfgraph.analyze.errorlist import ErrorRow, errors
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.forest import Int32
from kfgraph.analyze.select import Selection, select
from kfgraph.analyze.syscalls import SystemCall, SystemCallSum, chosen_calls, sum_to_dict, summed, to_dict
from kfgraph.model.trace import Trace
from kfgraph.model.units import plural

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack

Row = TypeVar("Row", ErrorRow, SystemCall, SystemCallSum)


class _Faces:
    """What shows a list: ``str()`` and rich have the text of the command line, a notebook the same as HTML."""

    def __str__(self) -> str:
        from kfgraph import to_text

        return to_text(self)  # type: ignore[arg-type]

    def __rich__(self) -> Any:
        from kfgraph import to_rich

        return to_rich(self)  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        from kfgraph import to_html

        return to_html(self)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False, repr=False)
class _Table(_Faces, Generic[Row]):
    trace: Trace
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        return self.rows[index]


class ErrorTable(_Table[ErrorRow]):
    """The rows of ``kfgraph errors``: one for each function, error and handler, in the order of first sight."""

    COLUMNS = ("function", "value", "error", "n_calls", "row", "start_ns", "path", "top", "handler", "sure")

    @classmethod
    def of(
        cls,
        trace: Trace,
        *,
        ret: int | str | Sequence[int | str] = (),
        module: str | Sequence[str] = (),
        unsure: bool = False,
        **filters: Unpack[Filters],
    ) -> ErrorTable:
        """See :func:`kfgraph.analyze.errorlist.errors`."""
        return cls(trace, tuple(errors(trace, ret=ret, module=module, unsure=unsure, **filters)))

    def records(self) -> list[dict[str, Any]]:
        """The objects of ``kfgraph errors --json``."""
        return [row.to_dict(self.trace.meta.arch) for row in self.rows]

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame of ``records``."""
        import pandas as pd

        return pd.DataFrame(self.records(), columns=list(self.COLUMNS)).astype({"start_ns": "Int64"})

    def __repr__(self) -> str:
        n = sum(row.n_calls for row in self.rows)
        return f"<ErrorTable {plural(n, 'error')} in {plural(len(self), 'row')}>"


class SystemCallTable(_Table[SystemCall]):
    """The rows of ``kfgraph syscalls``: one for each system call, in time order or the slowest first."""

    COLUMNS = (
        "system_call", "pid", "comm", "start_ns", "duration_ns", "total_ns", "result", "error", "path", "arguments",
        "row",
    )  # fmt: skip
    _NUMBERS = ("pid", "start_ns", "duration_ns", "total_ns", "result", "row")

    @classmethod
    def of(
        cls,
        trace: Trace,
        *,
        names: str | Sequence[str] = (),
        failed: bool = False,
        slowest: int | None = None,
        **filters: Unpack[Filters],
    ) -> SystemCallTable:
        """See :func:`kfgraph.analyze.syscalls.chosen_calls`."""
        return cls(trace, tuple(chosen_calls(trace, names=names, failed=failed, slowest=slowest, **filters)))

    def records(self) -> list[dict[str, Any]]:
        """The objects of ``kfgraph syscalls --json``."""
        return [to_dict(self.trace, call) for call in self.rows]

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame of ``records``."""
        import pandas as pd

        return pd.DataFrame(self.records(), columns=list(self.COLUMNS)).astype(dict.fromkeys(self._NUMBERS, "Int64"))

    def sums(self) -> SystemCallSums:
        """One row for each system call, as ``kfgraph syscalls -c``."""
        return SystemCallSums(self.trace, tuple(summed(self.trace, self.rows)))

    def __repr__(self) -> str:
        n_failed = sum(bool(call.error) for call in self.rows)
        return f"<SystemCallTable {plural(len(self), 'system call')}, {n_failed:,} failed>"


class SystemCallSums(_Table[SystemCallSum]):
    """The rows of ``kfgraph syscalls -c``: one for each system call, the one that took most time first."""

    COLUMNS = ("name", "n_calls", "n_finished", "n_errors", "total_ns", "max_ns", "hottest", "hottest_share")
    _NUMBERS = ("n_calls", "n_finished", "n_errors", "total_ns", "max_ns")

    def records(self) -> list[dict[str, Any]]:
        """The objects of ``kfgraph syscalls -c --json``."""
        return list(map(sum_to_dict, self.rows))

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame of ``records``; where no call ended, its times are ``<NA>``."""
        import pandas as pd

        return pd.DataFrame(self.records(), columns=list(self.COLUMNS)).astype(dict.fromkeys(self._NUMBERS, "Int64"))

    def __repr__(self) -> str:
        n = sum(one.n_calls for one in self.rows)
        return f"<SystemCallSums {plural(len(self), 'row')}, {plural(n, 'system call')}>"


@dataclass(frozen=True, eq=False, repr=False)
class CallRows(_Faces):
    """The calls that pass filters, in table order. ``rows`` are their rows of ``trace.calls``."""

    selection: Selection

    @classmethod
    def of(cls, trace: Trace, **filters: Unpack[Filters]) -> CallRows:
        """See :func:`kfgraph.analyze.select.select`."""
        return cls(select(trace, **filters))

    @property
    def trace(self) -> Trace:
        """The trace that they are of."""
        return self.selection.trace

    @property
    def rows(self) -> Int32:
        """Where they are in ``trace.calls``: ``trace.calls.duration_ns[found.rows]``."""
        return np.flatnonzero(self.selection.keep).astype(np.int32)

    def __len__(self) -> int:
        return len(self.selection)

    def to_pandas(self) -> pd.DataFrame:
        """The columns of :func:`kfgraph.to_pandas`."""
        return call_frame(self.selection)

    def __repr__(self) -> str:
        return f"<CallRows {plural(len(self), 'call')} of {len(self.trace.calls):,}>"
