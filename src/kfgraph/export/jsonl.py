"""Calls as JSON, one object a line; a merged tree as one array of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.calltree import CallTree
from kfgraph.model.calls import CONTEXTS, Flag
from kfgraph.model.spelling import json_text

_CHUNK = 16_384


def write_calls(call_tree: CallTree, out: TextIO) -> None:
    """Every call of ``call_tree``, one object a line, in the tree's order.

    ``row`` and ``parent`` number the calls of the whole trace, ``level`` counts from its task's
    outermost call; the parent of a root is null. Times are ns as recorded, but that ``self_ns`` is less kfgraph's
    own cost; what is unknown is null. ``retval`` and ``args`` are there if the trace recorded any,
    ``own_cost_ns`` if there is any in the selection.
    """
    trace, tree = call_tree.trace, call_tree.tree
    calls = trace.calls
    functions = [_function(name, module, bool(known)) for name, module, known in _symbols(call_tree)]
    tasks = [
        f'"pid": {_or_null(task.pid)}, "comm": {json_text(task.comm) if task.comm else "null"}'
        for task in trace.tasks.tasks
    ]
    contexts = [json_text(name) for name in CONTEXTS] + ["null"] * (256 - len(CONTEXTS))
    flag_names = {int(flags): json_text(_names(int(flags))) for flags in np.unique(calls.flags)}
    is_call = tree.row >= 0
    rows = tree.row[is_call]
    # A task's node is no call: below it the parent is null.
    parents = np.append(tree.row, np.int32(-1))[tree.parent[is_call]]
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
            _nullable(call_tree.selection.self_ns[part]),
            calls.context[part].tolist(),
            calls.flags[part].tolist(),
            _recorded(call_tree, part),
            strict=True,
        )
        out.write(
            "".join(
                [
                    f'{{"row": {row}, "parent": {parent}, "level": {level}, {functions[func]}, {tasks[lane]}, '
                    f'"cpu": {cpu}, "start_ns": {start}, "duration_ns": {duration}, "self_ns": {own}, '
                    f'"context": {contexts[context]}, "flags": {flag_names[flags]}{more}}}\n'
                    for row, parent, level, func, lane, cpu, start, duration, own, context, flags, more in columns
                ]
            )
        )


def write_nodes(call_tree: CallTree, out: TextIO) -> None:
    """The nodes of a merged tree as one array, in the tree's order.

    ``node`` and ``parent`` number the nodes; ``task`` is set instead of ``function`` on the nodes above
    the calls of a task. Times are sums over the calls whose value is known, null where none is. ``own_cost_ns``,
    kfgraph's own in the node itself, is there if there is any in the tree.
    """
    tree, trace = call_tree.tree, call_tree.trace
    symbols, costs = list(_symbols(call_tree)), bool(tree.own_cost_ns.any())
    out.write("[")
    for node in range(len(tree)):
        label = int(tree.label[node])
        record: dict[str, Any] = {"node": node, "parent": _known(tree.parent[node]), "level": int(tree.level[node])}
        if label < len(symbols):
            name, module, known = symbols[label]
            record |= {"function": name or None, "module": module if known else None}
        else:
            record |= {"task": trace.tasks[label - len(symbols)].label}
        finished = int(tree.count[node] - tree.n_unfinished[node])
        total = int(tree.total_ns[node])
        record |= {
            "n_calls": int(tree.count[node]),
            "n_unfinished": int(tree.n_unfinished[node]),
            "total_ns": _known(total),
            "self_ns": _known(tree.self_ns[node]),
            "avg_ns": total // finished if finished > 0 and total >= 0 else None,
            "min_ns": _known(tree.min_ns[node]),
            "max_ns": _known(tree.max_ns[node]),
            "flags": _names(int(tree.flags[node])),
        }
        if costs:
            record["own_cost_ns"] = _known(tree.own_cost_ns[node])
        out.write(("\n" if node == 0 else ",\n") + json_text(record))
    out.write("\n]\n")


def _symbols(call_tree: CallTree) -> Iterator[tuple[str, str, bool]]:
    symbols = call_tree.trace.symbols
    return zip(symbols.names, symbols.modules, symbols.resolved.tolist(), strict=True)


def _function(name: str, module: str, known: bool) -> str:
    """The JSON of a symbol: an address has no known module, the core kernel's is ""."""
    return f'"function": {json_text(name) if name else "null"}, "module": {json_text(module) if known else "null"}'


def _recorded(call_tree: CallTree, rows: npt.NDArray[np.int32]) -> list[str]:
    """``, "retval": ..., "own_cost_ns": ..., "args": ...`` of each row, as far as there are such columns."""
    calls = call_tree.trace.calls
    more = [""] * len(rows)
    if calls.retval is not None:
        has = calls.has(Flag.HAS_RETVAL)[rows].tolist()
        values = calls.retval[rows].tolist()
        more = [f', "retval": {value if known else "null"}' for value, known in zip(values, has, strict=True)]
    cost = call_tree.selection.own_cost
    if len(cost):
        more = [f'{said}, "own_cost_ns": {value}' for said, value in zip(more, _nullable(cost.of(rows)), strict=True)]
    if calls.args is not None:
        text = calls.args.text
        more = [f'{said}, "args": {json_text(text(row))}' for said, row in zip(more, rows.tolist(), strict=True)]
    return more


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
