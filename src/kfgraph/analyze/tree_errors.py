"""Errors in trees: which calls failed, how errors merge, and the chains that hand one up to its caller."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.analyze.retval import errors_of
from kfgraph.analyze.sysexits import failed_system_calls
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

Columns = dict[str, npt.NDArray[Any]]


def error_columns(trace: Trace, rows: Int32 | slice) -> Columns:
    """The columns of a tree of these calls that tell of errors; none where nothing tells of any.

    ``error`` and ``error_sure`` are the columns of :class:`kfgraph.analyze.retval.Errors`; ``error_event`` says that
    the event of a system call's exit tells the error, not the function's own register.
    """
    calls = trace.calls
    handlers, said = failed_system_calls(trace)
    if calls.retval is None and not len(handlers):
        return {}
    errors = errors_of(calls, trace.symbols)
    out: Columns = {"error": errors.codes, "error_sure": errors.sure}
    if len(handlers):
        new = ~errors.sure[handlers]
        out["error_event"] = np.zeros(len(calls), np.bool_)
        out["error"][handlers[new]] = said[new]
        out["error_sure"][handlers[new]] = True
        out["error_event"][handlers[new]] = True
    return {name: column[rows] for name, column in out.items()}


def merged_columns(tree: TreeTable, node: Int32 | Int64, n_nodes: int) -> Columns:
    """The columns of errors of a tree in which node i of ``tree`` becomes part of ``node[i]``.

    ``n_errors`` counts the calls that failed, ``error`` is what most of them returned (of equally many the
    first), ``errors_differ`` says that others returned another error. Where some failed for sure, only these count.
    """
    if not tree.has("error"):
        return {}
    out: Columns = {"n_errors": np.zeros(n_nodes, np.int64), "errors_differ": np.zeros(n_nodes, np.bool_)}
    for name in ("error", "error_sure", "error_event"):
        if tree.has(name):
            out[name] = np.zeros(n_nodes, tree.whole(name).dtype)
    error, is_sure = tree.error, tree.error_sure
    for sure in (False, True):
        some = np.flatnonzero((error != 0) & (is_sure == sure))
        if not len(some):
            continue
        keys, first, inverse = np.unique(
            node[some].astype(np.int64) << 16 | (error[some].astype(np.int64) & 0xFFFF), return_index=True,
            return_inverse=True,
        )  # fmt: skip
        times = np.zeros(len(keys), np.int64)
        np.add.at(times, inverse, tree.at("n_errors", some))
        into = keys >> 16
        out["n_errors"][into] = 0
        np.add.at(out["n_errors"], into, times)
        out["errors_differ"][into] = np.bincount(into, minlength=n_nodes)[into] > 1
        if tree.has("errors_differ"):
            out["errors_differ"][node[some[tree.errors_differ[some]]]] = True
        # The last assignment counts: rare ones first, of equally many the first seen last.
        order = np.lexsort((-first, times))
        for name in ("error", "error_sure", "error_event"):
            if name in out:
                out[name][into[order]] = tree.whole(name)[some[first[order]]]
    return out


def failed(tree: TreeTable) -> Bool:
    """The nodes of which a call failed for sure."""
    if not tree.has("error_sure"):
        return np.zeros(len(tree), np.bool_)
    sure: Bool = tree.error_sure
    return sure


def seems_failed(tree: TreeTable) -> Bool:
    """The nodes of which a call failed for sure, or returned what looks like an error: -1 alone does not, where the
    type of the result is not known."""
    if not tree.has("error"):
        return failed(tree)
    seems: Bool = failed(tree) | (tree.error < -1)
    return seems


def failures(tree: TreeTable) -> Int64:
    """How many calls of each node failed for sure."""
    n = np.zeros(len(tree), np.int64)
    nodes = np.flatnonzero(failed(tree))
    n[nodes] = tree.at("n_errors", nodes)
    return n


def unsure_failures(tree: TreeTable) -> Bool:
    """The nodes that are not sure to have failed, but returned what looks like an error.

    Not those that returned what their caller returned for sure: that may have been left in the register. What an
    interrupt hit did not call it.
    """
    seems = seems_failed(tree) & ~failed(tree)
    nodes = np.flatnonzero(seems & (tree.parent >= 0) & ((tree.flags & np.uint32(Flag.INTERRUPT)) == 0))
    parent = tree.parent[nodes]
    seems[nodes] = ~(failed(tree)[parent] & (tree.at("error", nodes) == tree.at("error", parent)))
    return seems


def chains(tree: TreeTable) -> Bool:
    """The failed calls whose callers failed too, up to a root, a task's outermost call or a system call.

    So the way of an error from where it can be seen outside down to where it began, also where it changes on
    the way. What looks like an error below such a call is in it, but for the same error below one that failed for
    sure: that may have been left in the register.
    """
    chain = np.zeros(len(tree), np.bool_)
    if not tree.has("error"):
        return chain
    error, sure = tree.error, tree.error_sure
    nodes = np.flatnonzero(error)
    if not len(nodes):
        return chain
    parent = tree.parent[nodes]
    labels, inverse = np.unique(tree.label[nodes], return_inverse=True)
    handles = np.fromiter((bool(system_call_of(tree.labels[code])) for code in labels.tolist()), np.bool_, len(labels))
    of_task = np.isin(tree.at("kind", np.maximum(parent, 0)), (NodeKind.TASK, NodeKind.MADE))
    top = (parent < 0) | (sure[nodes] & (of_task | handles[inverse]))
    chain[nodes[top]] = True
    counts = sure[nodes] | (((error[nodes] != error[parent]) | ~sure[parent]) & (error[nodes] < -1))
    nodes, parent = nodes[counts & ~top], parent[counts & ~top]
    for node, above in zip(nodes.tolist(), parent.tolist(), strict=True):
        chain[node] = chain[above]
    return chain
