"""Which functions, or modules, the selected calls spent their time in, and on which paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.aggregate import UNKNOWN as NOT_KNOWN
from kfgraph.analyze.aggregate import Aggregate, aggregate, aggregated_parts, aggregated_tracer, of_one_key
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.hotpath import HotPath, hot_paths
from kfgraph.analyze.owncost import OwnCost
from kfgraph.analyze.select import Selection, functions_named, rows_in_interrupts, select
from kfgraph.analyze.waiting_functions import waiting_functions
from kfgraph.errors import UsageError
from kfgraph.model.symbols import UNKNOWN, SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns, format_share, plural

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack

    from kfgraph.analyze.callers import Of
    from kfgraph.analyze.calltree import CallTree

By = Literal["self", "total", "calls", "errors", "avg", "max", "oncpu", "asleep", "preempted", "irq"]
Group = Literal["function", "module"]
BY: tuple[By, ...] = get_args(By)
GROUPS: tuple[Group, ...] = get_args(Group)
COLUMNS = {
    "self": "self_ns", "total": "total_ns", "calls": "n_calls", "errors": "n_errors", "avg": "avg_ns", "max": "max_ns",
    "oncpu": "oncpu_ns", "asleep": "total_asleep_ns", "preempted": "total_preempted_ns",
    "irq": "total_irq_ns",
}  # fmt: skip
"""What ``by`` sorts by."""
NUMBERS = (
    "n_calls", "n_unfinished", "self_ns", "total_ns", "avg_ns", "p50_ns", "p95_ns", "p99_ns", "max_ns", "n_errors"
)  # fmt: skip
"""The columns of a row, in the order of every machine-readable output. Behind them are ``Top.parts``."""
CORE_KERNEL = "[kernel]"
UNKNOWN_MODULE = "[unknown]"
WAITING_ROW = "[waiting]"
"""In a table of modules: the functions in which a task waited."""
Kind = Literal["work", "waiting", "interrupt", "kfgraph"]
"""What a row is of: work of tasks; waiting (:mod:`kfgraph.kernel.waiting`); calls in interrupts; kfgraph's own cost."""


@dataclass(frozen=True)
class Path:
    """A hot path: the labels from a root to the function whose own time it is.

    ``self_ns`` sums the known self times of its ``n_calls`` calls, ``self_share`` is that part of the
    selection's. Where paths are those to sleep, it is the time asleep, and its share.
    """

    path: tuple[str, ...]
    n_calls: int
    self_ns: int
    self_share: float


@dataclass(frozen=True)
class Top:
    """One row per function (or module) that was called, sorted by ``by``, the largest first.

    ``kinds`` says what each row is of. The first ``n_work`` are of work. The rows of functions that wait come after
    them, beyond the limit: their self time, ``waiting_ns`` in all, is no work, and in no share. ``waiting_paths`` are
    the hot paths to it. Then come those of calls in interrupts, a quarter as many at most: a function that tasks call
    too has two rows. ``interrupt_ns`` of ``self_ns`` is theirs, and ``n_interrupt_rows`` is how many there were. No
    hot path is to them. If all calls are in interrupts, theirs are the first rows, and they have the hot paths.

    ``functions`` holds the rows' function names ("" in a table of modules, and for calls whose
    function the trace does not tell), ``modules`` their modules: "" for the core kernel, None where
    unknown (an address without symbol). ``numbers`` are the rows' sums, times in ns, -1 unknown (see
    :class:`kfgraph.analyze.aggregate.Aggregate`). ``self_ns`` is the sum of all known self times of
    the selection but for waiting, which shares are shares of; ``n_calls`` counts its calls, ``n_self_unknown`` those
    without a known self time. ``n_rows`` is the number of rows of work before ``limit`` cut them.
    ``n_names`` is the number of different functions (or modules) in them.
    kfgraph's own cost is in no row, share or sum, but in the last row where it was asked for.

    Where the trace has sched_switch, ``parts`` are more columns: ``asleep_ns`` and ``preempted_ns``, how long the
    calls of a row were off the CPU themselves, ``total_asleep_ns`` and ``total_preempted_ns``, how much of ``total_ns``
    that is, and ``oncpu_ns``, the rest of it; ``unknown_ns`` and ``total_unknown_ns`` are neither, where there is such
    time. With ``compensate`` there are TRACER_COLUMNS
    (:mod:`kfgraph.analyze.compensation`). ``off_ns`` are the sums of the first two, and ``asleep_paths`` the chains
    whose last functions slept most. None of it is in self times. Else all three are empty.
    """

    by: By
    group: Group
    labels: tuple[str, ...]
    functions: tuple[str, ...]
    modules: tuple[str | None, ...]
    kinds: tuple[Kind, ...]
    numbers: Aggregate
    parts: Mapping[str, npt.NDArray[np.int64]]
    hot_paths: tuple[Path, ...]
    waiting_paths: tuple[Path, ...]
    asleep_paths: tuple[Path, ...]
    n_calls: int
    n_unfinished: int
    n_self_unknown: int
    self_ns: int
    waiting_ns: int
    interrupt_ns: int
    off_ns: Mapping[str, int]
    n_work: int
    n_rows: int
    n_interrupt_rows: int
    n_names: int
    selection: Selection = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_own_cost(self) -> bool:
        """Whether the last row is kfgraph's own cost."""
        return "kfgraph" in self.kinds

    @property
    def self_share(self) -> npt.NDArray[np.float64]:
        """Each row's part of the known self time at work and in interrupts, 0..1; -1 where it is not known, and for
        what is no work."""
        known = self.numbers.self_ns.copy()
        known[[kind not in ("work", "interrupt") for kind in self.kinds]] = -1
        return np.where((known >= 0) & (self.self_ns > 0), known / max(self.self_ns, 1), -1.0)

    @property
    def own_cost(self) -> OwnCost:
        """What kfgraph itself took in the selected calls, at most: in no other number here."""
        return self.selection.own_cost

    def shown(self, limit: int | None) -> npt.NDArray[np.bool_]:
        """Which rows a screen shows: the first ``limit`` of work (None: all), a quarter as many of interrupts, and all
        others."""
        shown = np.ones(len(self), np.bool_)
        if limit is not None:
            shown[limit : self.n_work] = False
            apart = [i for i in range(self.n_work, len(self)) if self.kinds[i] == "interrupt"]
            shown[apart[_of_interrupts(limit) :]] = False
        return shown

    def callers(self, functions: Sequence[str], *, n_shown: int | None = None, of: Of = "total") -> CallTree:
        """Who calls these functions (names or globs) in the selection, a root each. ``*`` stands for those of the rows
        that are ``shown`` with a limit of ``n_shown``. A root's calls are all of its function, in tasks and in
        interrupts. ``of``: see :func:`kfgraph.analyze.callers.callers_in`.

        Raises:
            NoMatchError: there is no such function.
        """
        from kfgraph.analyze.callers import callers_in

        chosen = self.selection
        wanted = functions_named(chosen.trace, [name for name in functions if name != "*"], chosen.keep)
        if "*" in functions:
            shown = {self.labels[i] for i in np.flatnonzero(self.shown(n_shown)).tolist()}
            wanted |= np.array([label in shown for label in chosen.trace.symbols.labels], np.bool_)
        return callers_in(chosen, wanted, of=of)

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of each of ``records``, in order."""
        return (*(("function",) if self.group == "function" else ()), "module", "kind", *self.values())

    @property
    def tracer_ns(self) -> tuple[int, int]:
        """(what tracing took of the calls' own time, its uncertainty), where times are estimates; else zeros."""
        taken = self.selection.tracer
        if taken is None:
            return 0, 0
        keep = self.selection.keep
        return int(taken.own_ns[keep].sum()), int(taken.own_error_ns[keep].sum())

    @property
    def tracer_share(self) -> float:
        """What part of the time at work and in interrupts tracing took, as it was recorded, where times are estimates;
        else 0."""
        taken, chosen = self.selection.tracer, self.selection
        if taken is None:
            return 0.0
        waits = waiting_functions(chosen.trace)[chosen.trace.calls.func]
        ns = int(taken.own_ns[chosen.keep & (chosen.self_ns >= 0) & ~waits].sum())
        return ns / max(ns + self.self_ns, 1)

    def values(self) -> dict[str, npt.NDArray[np.int64]]:
        """The columns of numbers: times in ns, -1 where unknown."""
        return {**{name: getattr(self.numbers, name) for name in NUMBERS}, **self.parts}

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries of plain values; None where unknown."""
        columns = {name: column.tolist() for name, column in self.values().items()}
        rows = []
        for i in range(len(self)):
            names = {"module": self.modules[i]}
            if self.group == "function":
                names = {"function": self.functions[i] or None, **names}
            numbers = {name: None if column[i] < 0 else column[i] for name, column in columns.items()}
            rows.append({**names, "kind": self.kinds[i], **numbers})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """What ``kfgraph top --json`` writes: ``functions`` (or ``modules``) and ``hot_paths``."""
        asleep = [{"path": list(p.path), "n_calls": p.n_calls, "asleep_ns": p.self_ns} for p in self.asleep_paths]
        return {
            "n_calls": self.n_calls,
            "n_unfinished": self.n_unfinished,
            "n_self_unknown": self.n_self_unknown,
            "self_ns": self.self_ns,
            "waiting_ns": self.waiting_ns,
            "interrupt_ns": self.interrupt_ns,
            **self.off_ns,
            "own_cost": {
                "n_calls": len(self.own_cost),
                "n_unknown": self.own_cost.n_unknown,
                "at_most_ns": self.own_cost.known_ns,
            },
            **({} if self.selection.tracer is None else {"tracer": self.selection.tracer.to_dict(self.selection.keep)}),
            f"{self.group}s": self.records(),
            "hot_paths": [
                {"path": list(p.path), "n_calls": p.n_calls, "self_ns": p.self_ns, "self_share": round(p.self_share, 6)}
                for p in self.hot_paths
            ],
            "waiting_paths": [
                {"path": list(p.path), "n_calls": p.n_calls, "self_ns": p.self_ns} for p in self.waiting_paths
            ],
            **({"asleep_paths": asleep} if self.off_ns else {}),
        }

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame with the columns of the JSON output and ``self_share``; unknown is ``<NA>``.

        Rows in the order of this table; counts and times are ``Int64``, times in ns.
        """
        import pandas as pd

        columns: dict[str, Any] = {}
        if self.group == "function":
            columns["function"] = pd.array([name or None for name in self.functions], dtype="string")
        columns["module"] = pd.array(list(self.modules), dtype="string")
        columns["kind"] = pd.array(list(self.kinds), dtype="string")
        for name, column in self.values().items():
            columns[name] = pd.Series(column, dtype="Int64").mask(column < 0)
        columns["self_share"] = pd.Series(self.self_share, dtype="Float64").mask(self.self_share < 0)
        return pd.DataFrame(columns)

    def __rich_repr__(self) -> Any:
        yield "by", self.by
        yield "n_calls", self.n_calls
        yield "self", format_ns(self.self_ns)
        shares = self.self_share[:10].tolist()
        yield f"{self.group}s", [f"{self.labels[i]} {format_share(share)}" for i, share in enumerate(shares)]

    def __str__(self) -> str:
        from kfgraph import to_text

        return to_text(self)

    def __rich__(self) -> Any:
        from kfgraph import to_rich

        return to_rich(self)

    def __repr__(self) -> str:
        rows, calls = plural(self.n_rows, self.group), plural(self.n_calls, "call")
        return f"<Top {rows} by {self.by}, {calls}, self {format_ns(self.self_ns)}>"

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(max_rows=30, notebook=True))


def top(
    trace: Trace,
    *,
    by: By = "self",
    group: Group = "function",
    limit: int | None = None,
    n_paths: int = 5,
    own_cost: bool = False,
    compensate: bool = False,
    **filters: Unpack[Filters],
) -> Top:
    """Sum up calls by function or module; the heaviest first.

    Args:
        trace: what :func:`kfgraph.load` returned.
        by: the column to sort by. Rows where it is unknown come last; ties are broken by self time,
            number of calls and name.
        group: one row per function, or per module.
        limit: keep this many rows of work, and a quarter as many of interrupts; ``n_rows`` and ``n_interrupt_rows``
            still tell how many there were.
        n_paths: how many hot paths to find.
        own_cost: a last row, beyond ``limit``, of what kfgraph itself took in these calls, if it did.
        compensate: all times less what tracing took, by an estimate; how much that is, is in more columns.
        filters: which calls, as for :func:`kfgraph.analyze.select.select`: ``root=["load_module"]``,
            ``task``, ``pid``, ``cpu``, ``from_s``, ``to_s``, ``no_irq``, ``all_tasks``, ``pre_exec``.

    Raises:
        ValueError: ``by`` or ``group`` is none of the words above.
        NoMatchError: a filter leaves nothing.
        UsageError: the trace does not record what a filter needs.
    """
    if by not in BY or group not in GROUPS:
        raise ValueError(f"by is one of {', '.join(BY)}; group is one of {', '.join(GROUPS)}")
    selection = select(trace, compensate=compensate, **filters)
    by_part = COLUMNS[by] not in NUMBERS
    if by == "irq" and "irq_ns" not in selection.parts:
        raise UsageError("--by irq: no interrupt hit these calls, or this trace does not tell", "leave it out")
    if by_part and by != "irq" and "asleep_ns" not in selection.parts:
        raise UsageError(f"--by {by}: this trace has no sched_switch events", "record it with kfgraph trace --sched")
    symbols = trace.symbols
    waits = waiting_functions(trace)
    by_function, functions = _keys(selection, symbols.label)
    key, codes = by_function, functions
    label_of: Callable[[int], str] = symbols.label
    if group == "module":
        label_of = partial(_module_label, symbols, waits)
        key, codes = _keys(selection, label_of)
    of_irq = rows_in_interrupts(trace.calls)
    in_irq = _interrupts_apart(selection, of_irq, key, codes)
    labels = [label_of(code) for code in codes]
    sums = aggregate(selection, key, len(codes))
    parts = aggregated_parts(selection, key, len(codes), sums.total_ns) | aggregated_tracer(selection, key, len(codes))
    all_irq = in_irq is None
    is_irq = np.zeros(len(codes), np.bool_)
    is_irq[len(codes) - (in_irq or 0) :] = True
    is_apart = waits[codes] & ~is_irq
    ranked = parts[COLUMNS[by]] if by_part else getattr(sums, COLUMNS[by])
    order = np.lexsort((np.array(labels, str), -sums.n_calls, -sums.self_ns, -ranked))
    order = order[sums.n_calls[order] > 0]
    work, apart, irq = (order[some[order]] for some in (~is_apart & ~is_irq, is_apart, is_irq))
    kept = np.concatenate((work[:limit], apart, irq[: _of_interrupts(limit)]))
    known_ns = np.maximum(sums.self_ns, 0)
    self_ns, waiting_ns = int(known_ns[~is_apart].sum()), int(known_ns[is_apart].sum())
    n_calls = int(sums.n_calls.sum())
    n_self_unknown = int((selection.keep & (selection.self_ns < 0)).sum())
    is_function = group == "function"
    names = [labels[i] for i in kept]
    functions_of = [symbols.names[codes[i]] if is_function else "" for i in kept]
    modules = [_module(symbols, codes[i]) if is_function or not is_apart[i] else WAITING_ROW for i in kept]
    kinds: list[Kind] = [
        "waiting" if is_apart[i] else "interrupt" if all_irq or is_irq[i] else "work" for i in kept
    ]
    numbers = {name: column[kept] for name, column in vars(sums).items()}
    off_ns = {name: int(np.maximum(parts[name], 0).sum()) for name in selection.parts if name != "irq_ns"}
    parts = {name: column[kept] for name, column in parts.items()}
    if own_cost and len(selection.own_cost):
        label = selection.own_cost.label
        names.append(label)
        functions_of.append(label if is_function else "")
        modules.append(None if is_function else label)
        kinds.append("kfgraph")
        row = vars(of_one_key(selection.own_cost.ns))
        numbers = {name: np.append(column, row[name]) for name, column in numbers.items()}
        parts = {name: np.append(column, NOT_KNOWN) for name, column in parts.items()}

    def paths(found: list[HotPath], of_ns: int) -> tuple[Path, ...]:
        return tuple(
            Path(tuple(symbols.label(functions[k]) for k in one.keys), one.n_calls, one.self_ns, one.self_ns / of_ns)
            for one in found
        )

    at_work_only = selection
    if is_irq.any():
        own_ns = selection.self_ns.copy()
        own_ns[of_irq] = 0
        at_work_only = replace(selection, self_ns=own_ns)
    slept = selection.parts["asleep_ns"].own if "asleep_ns" in selection.parts else None
    at_work, waited, asleep = hot_paths(
        at_work_only, by_function, apart=waits[functions], beside=slept, limit=n_paths
    )
    return Top(
        by=by,
        group=group,
        labels=tuple(names),
        functions=tuple(functions_of),
        modules=tuple(modules),
        kinds=tuple(kinds),
        numbers=Aggregate(**numbers),
        parts=parts,
        hot_paths=paths(at_work, self_ns),
        waiting_paths=paths(waited, waiting_ns),
        asleep_paths=paths(asleep, off_ns.get("asleep_ns", 0)),
        n_calls=n_calls,
        n_unfinished=int(sums.n_unfinished.sum()),
        n_self_unknown=n_self_unknown,
        self_ns=self_ns,
        waiting_ns=waiting_ns,
        interrupt_ns=self_ns if all_irq else int(known_ns[is_irq].sum()),
        off_ns=off_ns,
        n_work=len(work[:limit]),
        n_rows=len(work),
        n_interrupt_rows=len(irq),
        n_names=len({labels[i] for i in order if is_function or not is_apart[i]}),
        selection=selection,
    )


def _keys(selection: Selection, label_of: Callable[[int], str]) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Number the called functions by label: the number of each row, and one function code per number."""
    func = selection.trace.calls.func
    number_of: dict[str, int] = {}
    number = np.zeros(len(selection.trace.symbols), np.int32)
    codes: list[int] = []
    for code in np.flatnonzero(np.bincount(func)).tolist():
        number[code] = number_of.setdefault(label_of(code), len(codes))
        if number[code] == len(codes):
            codes.append(code)
    return number[func], codes


def _of_interrupts(limit: int | None) -> int | None:
    """How many rows of interrupts there are beside so many of work (None: all)."""
    return None if limit is None else max(limit // 4, 1)


def _interrupts_apart(
    selection: Selection, rows: npt.NDArray[np.int32], key: npt.NDArray[np.int32], codes: list[int]
) -> int | None:
    """Give the calls ``rows``, which are in interrupts, keys of their own, in ``key``, behind the others; adds their
    codes. How many these are; None: all calls that are looked at are in interrupts, and keep their keys."""
    rows = rows[selection.keep[rows]]
    if not len(rows):
        return 0
    if len(rows) == len(selection):
        return None
    used = np.flatnonzero(np.bincount(key[rows]))
    number = np.zeros(len(codes), np.int32)
    number[used] = len(codes) + np.arange(len(used), dtype=np.int32)
    key[rows] = number[key[rows]]
    codes += [codes[i] for i in used.tolist()]
    return len(used)


def _module(symbols: SymbolTable, code: int) -> str | None:
    return symbols.modules[code] if code != UNKNOWN and symbols.resolved[code] else None


def _module_label(symbols: SymbolTable, waits: npt.NDArray[np.bool_], code: int) -> str:
    if waits[code]:
        return WAITING_ROW
    module = _module(symbols, code)
    return UNKNOWN_MODULE if module is None else module or CORE_KERNEL
