"""Conversions for library users: calls to a pandas DataFrame, trees to anytree nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.errorlist import errors
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.parts import part_columns
from kfgraph.analyze.retval import values_of
from kfgraph.analyze.select import select
from kfgraph.analyze.syscalls import chosen_calls, to_dict
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.kernel.returns import error_name
from kfgraph.model.calls import CONTEXTS, Flag
from kfgraph.model.symbols import UNKNOWN
from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    import anytree
    import pandas as pd
    from typing_extensions import Unpack

MAX_NODES = 20_000


def to_pandas(trace: Trace, **filters: Unpack[Filters]) -> pd.DataFrame:
    """One row per selected call, in table order (each task's calls in pre-order, task after task).

    The index is the call's row in ``trace.calls``. Columns: function, module ("" for the core kernel),
    pid, comm, cpu, start_ns, duration_ns (as recorded), total_ns (what the selection counts: the duration without what
    it leaves out, and without kfgraph's own cost), self_ns (less that cost), level, parent (a row; of the selection:
    the nearest selected caller), context, flags (see :class:`kfgraph.Flag`). Where the trace has return values:
    retval (the value that the function's type makes of the register, an error always negative), retval_raw (the
    register), error (its name, None for no error) and error_sure (False: it looks like one, see docs/show.md),
    the last two also where only the exit events of system calls tell errors. Where the trace has sched_switch:
    asleep_ns and preempted_ns, how long the call itself was off the CPU, total_asleep_ns and total_preempted_ns, how
    much of total_ns that is.
    Where the selection has any: own_cost_ns, kfgraph's own, at most. Times are ns of the trace clock; unknown is
    ``<NA>``.

    Args:
        trace: what :func:`kfgraph.load` returned.
        filters: which calls, as for :func:`kfgraph.analyze.select.select`.

    Raises:
        NoMatchError: a filter leaves nothing.
        UsageError: the trace does not record what a filter needs.
    """
    import pandas as pd

    selection = select(trace, **filters)
    rows = np.flatnonzero(selection.keep)
    calls, symbols, tasks = trace.calls, trace.symbols, trace.tasks.tasks

    def words(codes: Any, of_code: Any) -> pd.Categorical:
        """``of_code[codes]`` as a categorical, None for an unknown one."""
        names = list(dict.fromkeys(word for word in of_code if word is not None))
        place = {name: i for i, name in enumerate(names)}
        lookup = np.array([place[word] if word is not None else -1 for word in of_code], np.int64)
        return pd.Categorical.from_codes(lookup[codes] if len(lookup) else codes, categories=pd.Index(names, dtype=str))

    def numbers(values: Any, unknown: Any) -> Any:
        return pd.Series(values, dtype="Int64", index=rows).mask(unknown)

    func, lane, flags = calls.func[rows], calls.lane[rows], calls.flags[rows]
    known_module = [
        module if code != UNKNOWN and symbols.resolved[code] else None for code, module in enumerate(symbols.modules)
    ]
    pid = np.array([task.pid for task in tasks], np.int64)[lane] if tasks else lane
    contexts = np.minimum(calls.context[rows], len(CONTEXTS))
    columns = {
        "function": words(func, [name or None for name in symbols.names]),
        "module": words(func, known_module),
        "pid": numbers(pid, pid < 0),
        "comm": words(lane, [task.comm or None for task in tasks]),
        "cpu": numbers(calls.cpu[rows], calls.cpu[rows] < 0),
        "start_ns": numbers(calls.start_ns[rows], (flags & Flag.START_UNKNOWN) != 0),
        "duration_ns": numbers(calls.duration_ns[rows], calls.duration_ns[rows] < 0),
        "total_ns": numbers(selection.total_ns[rows], selection.total_ns[rows] < 0),
        "self_ns": numbers(selection.self_ns[rows], selection.self_ns[rows] < 0),
        "level": calls.level[rows],
        "parent": numbers(selection.parent[rows], selection.parent[rows] < 0),
        "context": words(contexts, [*CONTEXTS, None]),
        "flags": flags,
    }
    if calls.retval is not None:
        values, has = values_of(calls, symbols, rows)
        columns["retval"] = numbers(values, ~has)
        registers = pd.Series(calls.retval[rows].astype(np.uint64), dtype="UInt64", index=rows)
        columns["retval_raw"] = registers.mask((flags & Flag.HAS_RETVAL) == 0)
    told = error_columns(trace, rows.astype(np.int32))
    if told:
        said = 2 * told["error"].astype(np.int64) + told["error_sure"]
        keys, which = np.unique(said, return_inverse=True)
        pairs = [divmod(key, 2) for key in keys.tolist()]
        columns["error"] = words(which, [error_name(e, sure=bool(s), arch=trace.meta.arch) or None for e, s in pairs])
        columns["error_sure"] = told["error_sure"]
    columns |= part_columns(selection.parts, rows.astype(np.int32))
    if len(selection.own_cost):
        cost_ns = selection.own_cost.of(rows.astype(np.int32))
        columns["own_cost_ns"] = numbers(cost_ns, cost_ns < 0)
    return pd.DataFrame(columns, index=pd.Index(rows, name="row"))


def errors_to_pandas(
    trace: Trace,
    *,
    ret: int | Sequence[int] = (),
    module: str | Sequence[str] = (),
    unsure: bool = False,
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """One row per function, error and handler, in time order: the columns of ``kfgraph errors --json``.

    Args:
        ret, module, unsure, filters: as for :func:`kfgraph.analyze.errorlist.errors`.

    Raises:
        NoMatchError: a name is in no trace.
    """
    import pandas as pd

    rows = errors(trace, ret=ret, module=module, unsure=unsure, **filters)
    frame = pd.DataFrame([row.to_dict(trace.meta.arch) for row in rows])
    return frame.astype({"start_ns": "Int64"} if rows else {})


def syscalls_to_pandas(
    trace: Trace,
    *,
    names: str | Sequence[str] = (),
    failed: bool = False,
    slowest: int | None = None,
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """One row per system call, in time order: the columns of ``kfgraph syscalls --json``.

    Args:
        names, failed, slowest, filters: as for :func:`kfgraph.analyze.syscalls.chosen_calls`.

    Raises:
        NoMatchError: there is no such task.
    """
    import pandas as pd

    calls = chosen_calls(trace, names=names, failed=failed, slowest=slowest, **filters)
    frame = pd.DataFrame([to_dict(trace, call) for call in calls])
    numbers = ("pid", "start_ns", "duration_ns", "total_ns", "result", "row")
    return frame.astype(dict.fromkeys(numbers, "Int64") if calls else {})


def to_anytree(tree: CallTree, *, max_nodes: int = MAX_NODES) -> tuple[anytree.Node, ...]:
    """The roots of ``tree`` as anytree nodes, each holding its subtree, children in the tree's order.

    A node has ``name`` (the function's label), ``n_calls``, ``total_ns``, ``self_ns`` (None where unknown),
    ``own_cost_ns`` (kfgraph's own in this call, in neither; 0 none, None unknown), ``flags``, and ``row``, the
    call's row in ``trace.calls`` (None for a node that stands for several).

    Raises:
        ValueError: the tree has more than ``max_nodes`` nodes. anytree takes microseconds and hundreds of
            bytes for each and is no place for a whole trace: ask for a function's tree, or a merged one.
    """
    import anytree

    table = tree.tree
    if len(table) > max_nodes:
        narrower = "narrow the tree (root=, nth=, merge=True) or raise max_nodes"
        raise ValueError(f"{len(table):,} nodes are more than {max_nodes:,}: {narrower}")
    nodes: list[Any] = []
    for node in range(len(table)):
        parent = int(table.parent[node])
        row = int(table.row[node])
        nodes.append(
            anytree.Node(
                table.labels[table.label[node]],
                parent=nodes[parent] if parent >= 0 else None,
                n_calls=int(table.at("count", node)),
                total_ns=_known(table.total_ns[node]),
                self_ns=_known(table.self_ns[node]),
                own_cost_ns=_known(table.own_cost_ns[node]),
                flags=Flag(int(table.flags[node])),
                row=row if row >= 0 else None,
            )
        )
    return tuple(node for node in nodes if node.parent is None)


def _known(value: np.int64) -> int | None:
    return int(value) if value >= 0 else None
