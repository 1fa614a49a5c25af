"""Calls as JSON, one object a line; a merged tree as one array of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.callsites import CallSites, callers_of
from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.forest import Bool, Int16, Int32, Int64
from kfgraph.analyze.parts import PART_COLUMNS, TRACER_COLUMNS, UNKNOWN_COLUMNS, told
from kfgraph.analyze.retval import values_of
from kfgraph.analyze.select import Selection
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.analyze.wakers import Wakers, sleeps_to_dicts
from kfgraph.analyze.works import Works
from kfgraph.errors import Notice
from kfgraph.export.tracks import chunks
from kfgraph.kernel.returns import error_name
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import CONTEXTS, Flag
from kfgraph.model.spelling import json_text
from kfgraph.model.tree import NodeKind
from kfgraph.model.units import average_ns

_CHUNK = 16_384
_Errors = tuple[Int16, Bool]
"""(error, whether it is sure) of each call."""
_REGISTER = '"%#x"'


def write_calls(call_tree: CallTree, out: TextIO, *, sites: CallSites | None = None) -> None:
    """Every call of ``call_tree``, one object a line, in the tree's order.

    ``row`` and ``parent`` number the calls of the whole trace, ``level`` counts from its task's
    outermost call; the parent of a root is null. ``duration_ns`` is as recorded, ``total_ns`` is what the selection
    counts, ``self_ns`` is less kfgraph's own cost; what is unknown is null. ``retval`` (the value by the function's
    type), ``retval_raw`` (the register), ``error`` (its name), ``error_sure``, and ``args`` are there if the trace
    recorded any (an error also where only the exit event of a system call tells it), ``pid_nth`` for tasks that had the
    same pid one after another (1: the first), ``own_cost_ns`` if there is any
    in the selection, what :func:`kfgraph.analyze.callsites.callers_of` has, PART_COLUMNS as far as the trace tells
    (null where nothing is known), UNKNOWN_COLUMNS if there is such time, TRACER_COLUMNS if ``total_ns`` and ``self_ns``
    are estimates.
    """
    tree = call_tree.tree
    is_call = tree.row >= 0
    # A task's node is no call: below it the parent is null.
    parents = np.append(tree.row, np.int32(-1))[tree.parent[is_call]]
    errors = (tree.error[is_call], tree.error_sure[is_call]) if tree.has("error") else None
    _Lines(call_tree.selection, out, sites).write(tree.row[is_call], parents, tree.total_ns[is_call], errors)


def write_selection(selection: Selection, out: TextIO, *, sites: CallSites | None = None) -> None:
    """The same of every selected call, in the order of the CallTable."""
    lines, told = _Lines(selection, out, sites), error_columns(selection.trace, slice(None))
    for part in chunks(len(selection.keep), 16 * _CHUNK):
        rows = (np.flatnonzero(selection.keep[part]) + part.start).astype(np.int32)
        errors = (told["error"][rows], told["error_sure"][rows]) if told else None
        lines.write(rows, selection.parent[rows], selection.total_ns[rows], errors)


def write_lines(selection: Selection, out: TextIO, *, sites: CallSites | None = None) -> tuple[Notice, ...]:
    """:func:`write_selection`, as an exporter: nothing is left out or altered."""
    write_selection(selection, out, sites=sites)
    return ()


class _Lines:
    """Writes calls, a line each."""

    def __init__(self, selection: Selection, out: TextIO, sites: CallSites | None) -> None:
        trace = selection.trace
        symbols = trace.symbols
        named = zip(symbols.names, symbols.modules, symbols.resolved.tolist(), strict=True)
        self.selection, self.out, self.wakers = selection, out, Wakers.of(trace)
        self.works, self.callers = Works.of(trace), callers_of(trace, sites)
        self.functions = [_function(name, module, known) for name, module, known in named]
        self.tasks = [
            f'"pid": {_or_null(task.pid)}, "comm": {json_text(task.comm) if task.comm else "null"}'
            + (f', "pid_nth": {task.nth}' if task.nth else "")
            for task in trace.tasks.tasks
        ]
        self.contexts = [json_text(name) for name in CONTEXTS] + ["null"] * (256 - len(CONTEXTS))
        self.flag_names = {int(flags): json_text(_names(int(flags))) for flags in distinct(trace.calls.flags)}

    def write(self, rows: Int32, parents: Int32, total_ns: Int64, errors: _Errors | None) -> None:
        """``parents``, ``total_ns`` and ``errors`` are those of ``rows``."""
        calls, self_ns = self.selection.trace.calls, self.selection.self_ns
        functions, tasks, contexts, flag_names = self.functions, self.tasks, self.contexts, self.flag_names
        recorded = _recorded(self.selection, rows, errors, self.wakers, self.works, self.callers)
        for first in range(0, len(rows), _CHUNK):
            part = rows[first : first + _CHUNK]
            columns = zip(
                part.tolist(),
                _nullable(parents[first : first + _CHUNK]),
                calls.level[part].tolist(),
                calls.func[part].tolist(),
                calls.lane[part].tolist(),
                _nullable(calls.cpu[part]),
                _nullable(calls.start_ns[part]),
                _nullable(calls.duration_ns[part]),
                _nullable(total_ns[first : first + _CHUNK]),
                _nullable(self_ns[part]),
                calls.context[part].tolist(),
                calls.flags[part].tolist(),
                recorded(first, first + _CHUNK),
                strict=True,
            )
            self.out.write(
                "".join(
                    [
                        f'{{"row": {row}, "parent": {parent}, "level": {level}, {functions[func]}, {tasks[lane]}, '
                        f'"cpu": {cpu}, "start_ns": {start}, "duration_ns": {lasted}, "total_ns": {total}, '
                        f'"self_ns": {own}, "context": {contexts[context]}, "flags": {flag_names[flags]}{more}}}\n'
                        for row, parent, level, func, lane, cpu, start, lasted, total, own, context, flags, more
                        in columns
                    ]
                )
            )


def write_nodes(call_tree: CallTree, out: TextIO) -> None:
    """The nodes of a merged tree as one array, in the tree's order: :func:`node_records`."""
    out.write("[")
    for node, record in enumerate(node_records(call_tree)):
        out.write(("\n" if node == 0 else ",\n") + json_text(record))
    out.write("\n]\n")


def node_records(call_tree: CallTree) -> Iterator[dict[str, Any]]:
    """The nodes of a merged tree as dictionaries, in the tree's order.

    ``node`` and ``parent`` number the nodes; ``task`` is set instead of ``function`` on the nodes above
    the calls of a task. Times are sums over the calls whose value is known, null where none is. ``at_least_ns`` is the
    least that all of them took, there if some call of the tree has no duration. ``own_cost_ns``,
    kfgraph's own in the node itself, is there if there is any in the tree. Where errors were recorded, ``n_errors``
    counts the calls that returned one, ``error`` is the most frequent, ``error_sure`` says whether they are.
    """
    tree, trace = call_tree.tree, call_tree.trace
    symbols, costs = list(_symbols(call_tree)), bool(tree.own_cost_ns.any())
    at_least = tree.at_least_ns()
    stored = (name for name in (*PART_COLUMNS, *UNKNOWN_COLUMNS, *TRACER_COLUMNS) if tree.has(name))
    further = told({name: tree.whole(name) for name in stored})
    for node in range(len(tree)):
        label = int(tree.label[node])
        record: dict[str, Any] = {"node": node, "parent": _known(tree.parent[node]), "level": int(tree.level[node])}
        if tree.at("kind", node) == NodeKind.CALL:
            name, module, known = symbols[label]
            record |= {"function": name or None, "module": module if known else None}
        else:
            record |= {"task": tree.labels[label]}
        finished = int(tree.count[node] - tree.n_unfinished[node])
        total = int(tree.total_ns[node])
        record |= {
            "n_calls": int(tree.count[node]),
            "n_unfinished": int(tree.n_unfinished[node]),
            "total_ns": _known(total),
            **({} if at_least is None else {"at_least_ns": _known(at_least[node])}),
            "self_ns": _known(tree.self_ns[node]),
            "avg_ns": average_ns(total, finished) if finished > 0 and total >= 0 else None,
            "min_ns": _known(tree.min_ns[node]),
            "max_ns": _known(tree.max_ns[node]),
            "flags": _names(int(tree.flags[node])),
        }
        record |= {name: _known(column[node]) for name, column in further.items()}
        if costs:
            record["own_cost_ns"] = _known(tree.own_cost_ns[node])
        if tree.has("n_errors"):
            error, sure = int(tree.error[node]), bool(tree.error_sure[node])
            record["n_errors"] = int(tree.n_errors[node])
            record["error"] = error_name(error, sure=sure, arch=trace.meta.arch) or None
            record["error_sure"] = sure
        yield record


def _symbols(call_tree: CallTree) -> Iterator[tuple[str, str, bool]]:
    symbols = call_tree.trace.symbols
    return zip(symbols.names, symbols.modules, symbols.resolved.tolist(), strict=True)


def _function(name: str, module: str, known: bool) -> str:
    """The JSON of a symbol: an address has no known module, the core kernel's is ""."""
    return f'"function": {json_text(name) if name else "null"}, "module": {json_text(module) if known else "null"}'


def _recorded(
    selection: Selection, rows: Int32, told: _Errors | None, wakers: Wakers | None, works: Works | None,
    callers: Callable[[Int32], dict[str, list[Any]]],
) -> Callable[[int, int], list[str]]:  # fmt: skip
    """(first, last) -> ``, "retval": ..., "args": ...`` of those ``rows``, as far as there are such columns."""
    trace, calls = selection.trace, selection.trace.calls
    cost, returned, errors = selection.own_cost, None, None
    if calls.retval is not None:
        values, has = values_of(calls, trace.symbols, rows)
        recorded, registers = calls.has(Flag.HAS_RETVAL)[rows], calls.retval[rows].astype(np.uint64)
        returned = values, has, recorded, registers
    if told is not None:
        # Twice the error number, and one more where it is sure.
        errors = 2 * told[0].astype(np.int64) + told[1]
        said = {key: _error(key >> 1, bool(key & 1), trace.meta.arch) for key in distinct(errors).tolist()}

    def texts(first: int, last: int) -> list[str]:
        part = slice(first, last)
        more = [""] * len(rows[part])
        if returned is not None:
            columns = zip(*(column[part].tolist() for column in returned), strict=True)
            more = [
                f', "retval": {value if known else "null"}, "retval_raw": {_REGISTER % raw if recorded else "null"}'
                for value, known, recorded, raw in columns
            ]
        if errors is not None:
            more = [f"{also}{said[error]}" for also, error in zip(more, errors[part].tolist(), strict=True)]
        if len(cost):
            costs = _nullable(cost.of(rows[part]))
            more = [f'{also}, "own_cost_ns": {value}' for also, value in zip(more, costs, strict=True)]
        for name, of_callers in callers(rows[part]).items():
            spelt = {one: json_text(one) for one in set(of_callers)}
            more = [f'{also}, "{name}": {spelt[one]}' for also, one in zip(more, of_callers, strict=True)]
        columns_of = selection.further_columns(rows[part])
        for name, column in columns_of.items():
            more = [f'{also}, "{name}": {ns}' for also, ns in zip(more, _nullable(column), strict=True)]
        if wakers is not None and "asleep_ns" in selection.parts:
            slept = selection.parts["asleep_ns"].own.at(rows[part])
            for at in np.flatnonzero(slept).tolist():
                sleeps = sleeps_to_dicts(trace, wakers.sleeps(int(rows[first + at])))
                more[at] += f', "sleeps": {json_text(sleeps)}'
        if works is not None:
            for at in np.flatnonzero(np.isin(rows[part], works.rows)).tolist():
                more[at] += f', "works": {json_text(works.to_dicts(int(rows[first + at])))}'
        if calls.args is not None:
            args = map(calls.args.text, rows[part].tolist())
            more = [f'{also}, "args": {json_text(text)}' for also, text in zip(more, args, strict=True)]
        return more

    return texts


def _error(error: int, sure: bool, arch: str) -> str:
    name = error_name(error, sure=sure, arch=arch)
    return f', "error": {json_text(name or None)}, "error_sure": {json_text(sure)}'


def _names(flags: int) -> list[str]:
    return [flag.name or "" for flag in Flag if flags & flag]


def _nullable(column: npt.NDArray[Any]) -> list[int | str]:
    values: list[int | str] = column.tolist()
    if len(column) and column.min() < 0:
        return ["null" if isinstance(value, int) and value < 0 else value for value in values]
    return values


def _known(value: int | np.integer[Any]) -> int | None:
    return None if value < 0 else int(value)


def _or_null(value: int) -> str:
    return "null" if value < 0 else str(value)
