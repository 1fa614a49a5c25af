"""Trace: everything that one recording says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.errors import Notice
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.offcpu import OffCpu
from kfgraph.model.sparse import Sparse
from kfgraph.model.spelling import shell_word
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.tasks import TaskTable
from kfgraph.model.units import plural

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kfgraph import ErrorTable, Filters, SystemCallTable
    from kfgraph.model.companion import Companion


@dataclass(frozen=True)
class TraceMeta:
    """Where a trace comes from. "" and -1 where the input does not say.

    ``clock`` is the tracer's name for it (``local``, ``mono``, ``x86-tsc``...); ``clock_unit`` is
    "ns", or another word if its ticks have no known length (then all times are unknown and the order
    is kept). ``first_ns`` and ``last_ns`` are the first and the last record's time. ``n_overrun`` is
    the file's own statistic of records overwritten before they were read; -1 if it has none.
    ``again`` is what is typed into a shell to read it again: the file, and the options that were given.
    """

    path: str = ""
    again: str = ""
    reader: str = ""
    kernel: str = ""
    host: str = ""
    arch: str = ""
    recorder: str = ""
    clock: str = ""
    clock_unit: str = "ns"
    n_cpus: int = -1
    n_records: int = -1
    first_ns: int = -1
    last_ns: int = -1
    n_overrun: int = -1
    buffers: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def as_typed(self) -> str:
        """The operand, and options, of a command that reads it again; ``TRACE`` where it came through a pipe."""
        named = self.path and not self.path.startswith(("-", "<"))
        return self.again or shell_word(self.path if named else "TRACE")


@dataclass(frozen=True, eq=False)
class Trace:
    """One recording: calls, their names, their tasks, and what else stood in the stream."""

    calls: CallTable
    symbols: SymbolTable
    tasks: TaskTable
    marks: Marks = field(default_factory=Marks.empty)
    losses: Losses = field(default_factory=Losses.empty)
    meta: TraceMeta = field(default_factory=TraceMeta)
    notices: tuple[Notice, ...] = ()
    companion: Companion | None = None
    command_lanes: frozenset[int] | None = None
    """The lanes of the command that was traced; None where that is not known (then: all)."""
    probed: frozenset[str] = frozenset()
    """Without a companion: the modules in which return probes were hit, as their events tell; "": one that is gone."""
    off_cpu: OffCpu | None = None
    """When its tasks were off the CPU; None where it does not tell (it has no sched_switch)."""

    def __post_init__(self) -> None:
        # The calls know whose they are, for ``trace.calls.where``. What they know holds a table of its own, so that
        # there is no circle: a trace that nobody has any more is gone at once.
        calls = copy(self.calls) if self.calls.has_trace else self.calls
        known = object.__new__(Trace)
        vars(known).update(vars(self), calls=replace(calls))
        vars(calls)["_trace"] = known
        vars(self)["calls"] = calls

    def errors(
        self,
        *,
        ret: int | str | Sequence[int | str] = (),
        module: str | Sequence[str] = (),
        unsure: bool = False,
        **filters: Unpack[Filters],
    ) -> ErrorTable:
        """The errors that began in the selected calls: the rows of ``kfgraph errors``.

        Args:
            ret: only these errors: names or numbers.
            module: only functions of these modules.
            unsure: also values that may be numbers.
            filters: those of ``kfgraph errors``.

        Raises:
            NoMatchError: no return value was recorded, or a filter leaves nothing.
        """
        from kfgraph import ErrorTable

        return ErrorTable.of(self, ret=ret, module=module, unsure=unsure, **filters)

    def syscalls(
        self,
        *,
        names: str | Sequence[str] = (),
        failed: bool = False,
        slowest: int | None = None,
        **filters: Unpack[Filters],
    ) -> SystemCallTable:
        """The system calls: the rows of ``kfgraph syscalls``; its ``sums()`` are those of ``-c``.

        Args:
            names: only these: names or globs.
            failed: only those that returned an error.
            slowest: so many that took longest, slow to fast.
            filters: those of ``kfgraph syscalls``.

        Raises:
            NoMatchError: there is no such task.
        """
        from kfgraph import SystemCallTable

        return SystemCallTable.of(self, names=names, failed=failed, slowest=slowest, **filters)

    @property
    def n_lost_marks(self) -> int:
        """Places where records were lost."""
        return len(self.losses)

    @property
    def n_lost_counted(self) -> int:
        """Lost records that the kernel counted at those places."""
        return self.losses.n_lost_counted

    @property
    def n_unfinished(self) -> int:
        """Calls without a known end."""
        return int(self.calls.has(Flag.NO_EXIT).sum())

    def read_only(self) -> Trace:
        """This trace, its columns not to be written to from here on; ``with_columns`` replaces one.

        What is computed from a trace may be kept, and what wrote into a column of it would be wrong elsewhere.
        """
        tables = (self.calls, self.marks, self.losses, self.symbols)
        for value in (value for table in tables for value in vars(table).values()):
            for column in (value.rows, value.values) if isinstance(value, Sparse) else (value,):
                if isinstance(column, np.ndarray):
                    column.flags.writeable = False
        return self

    @property
    def n_unprinted(self) -> int:
        """Those of them that did end: the text prints no duration (funcgraph-duration was off)."""
        n = sum(notice.n for notice in self.notices if notice.code == "no-duration")
        return min(n, self.n_unfinished)

    def __rich__(self) -> str:
        # Plain words: the one-line summary that a notebook or a REPL shows.
        return repr(self)

    def __repr__(self) -> str:
        calls, tasks = plural(len(self.calls), "call"), plural(len(self.tasks), "task")
        lost = f", {plural(self.n_lost_marks, 'loss')}" if self.n_lost_marks else ""
        return f"<Trace {self.meta.path}: {calls}, {tasks}{lost}>"

    def check(self) -> None:
        """``CallTable.check`` and the references between the tables.

        Raises:
            AssertionError: naming the rule that is broken.
        """
        calls = self.calls
        calls.check()
        for column, size in ((calls.func, len(self.symbols)), (calls.lane, len(self.tasks))):
            assert not len(column) or (column.min() >= 0 and column.max() < size), "code outside its table"
        for table in (self.marks, self.losses):
            if len(table):
                assert table.row.min() >= -1 and table.row.max() <= len(calls), "mark outside the table"
                assert table.lane.min() >= -1 and table.lane.max() < len(self.tasks), "mark in no lane"
                placed = table.row >= 0  # records lost at the very end have no place
                assert (table.parent < table.row)[placed].all() or not len(calls), "mark before its parent"
