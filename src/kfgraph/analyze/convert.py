"""Conversions for library users: calls to a pandas DataFrame, trees to anytree nodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.callframe import call_frame
from kfgraph.analyze.callsites import CallSites
from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.listings import ErrorTable, SystemCallTable
from kfgraph.analyze.select import select
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    import anytree
    import pandas as pd
    from typing_extensions import Unpack

MAX_NODES = 20_000


def to_pandas(
    trace: Trace, *, debug_info: Sequence[str | Path] = (), **filters: Unpack[Filters]
) -> pd.DataFrame:
    """One row per selected call, in table order (each task's calls in pre-order, task after task).

    The index is the call's row in ``trace.calls``. Columns: function, module ("" for the core kernel),
    pid, comm, cpu, start_ns, duration_ns (as recorded), total_ns (what the selection counts: the duration without what
    it leaves out, and without kfgraph's own cost), self_ns (less that cost), level, parent (a row; of the selection:
    the nearest selected caller), context, flags (see :class:`kfgraph.Flag`). Where the trace has return values:
    retval (the value that the function's type makes of the register, an error always negative), retval_raw (the
    register), error (its name, None for no error) and error_sure (False: it looks like one, see docs/show.md),
    the last two also where only the exit events of system calls tell errors. Where the trace has sched_switch:
    asleep_ns and preempted_ns, how long the call itself was off the CPU, total_asleep_ns and total_preempted_ns, how
    much of total_ns that is; where there is any, unknown_ns and total_unknown_ns, the time of which it is not
    known how much was off the CPU. Where it has return addresses: caller (the function that the call returns to),
    caller_offset (how many bytes behind its beginning) and, with debug_info, call_site (file and line of the call).
    Where the selection has any: own_cost_ns, kfgraph's own, at most. Times are ns of the trace clock; unknown is
    ``<NA>``.

    Args:
        trace: what :func:`kfgraph.load` returned.
        debug_info: files of a vmlinux or modules, for the lines of calls.
        filters: which calls, as for :func:`kfgraph.analyze.select.select`.

    Raises:
        NoMatchError: a filter leaves nothing.
        UsageError: the trace does not record what a filter needs.
        InputError: debug info is not there, or is another kernel's.
    """
    return call_frame(select(trace, **filters), CallSites.told(trace, debug_info) if debug_info else None)


def errors_to_pandas(
    trace: Trace,
    *,
    ret: int | str | Sequence[int | str] = (),
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
    return ErrorTable.of(trace, ret=ret, module=module, unsure=unsure, **filters).to_pandas()


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
    return SystemCallTable.of(trace, names=names, failed=failed, slowest=slowest, **filters).to_pandas()


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
