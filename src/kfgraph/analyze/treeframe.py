"""A tree as a pandas DataFrame: one row per node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.parts import PART_COLUMNS, TRACER_COLUMNS, UNKNOWN_COLUMNS, told
from kfgraph.kernel.returns import error_name
from kfgraph.model.symbols import UNKNOWN
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable
from kfgraph.model.units import average_ns

if TYPE_CHECKING:
    import pandas as pd


def tree_frame(tree: TreeTable, trace: Trace) -> pd.DataFrame:
    """The nodes of ``tree`` in its order; see :meth:`kfgraph.analyze.calltree.CallTree.to_pandas`."""
    import pandas as pd

    symbols = trace.symbols
    n_functions = len(symbols)

    def words(codes: Any, of_code: list[str | None]) -> Any:
        names = list(dict.fromkeys(word for word in of_code if word is not None))
        place = {name: i for i, name in enumerate(names)}
        lookup = np.array([-1 if word is None else place[word] for word in of_code], np.int64)
        return pd.Categorical.from_codes(lookup[codes], categories=pd.Index(names, dtype=str))

    def numbers(values: Any) -> Any:
        return pd.Series(values, dtype="Int64").mask(np.asarray(values) < 0)

    no_task = [None] * (len(tree.labels) - n_functions)
    resolved = symbols.resolved.tolist()
    known = [name if code != UNKNOWN and resolved[code] else None for code, name in enumerate(symbols.modules)]
    finished = tree.count - tree.n_unfinished
    average = np.where((finished > 0) & (tree.total_ns >= 0), average_ns(tree.total_ns, np.maximum(finished, 1)), -1)
    columns: dict[str, Any] = {
        "label": words(tree.label, list(tree.labels)),
        "function": words(tree.label, [*(name or None for name in symbols.names), *no_task]),
        "module": words(tree.label, [*known, *no_task]),
        "level": tree.level,
        "parent": numbers(tree.parent),
        "n_calls": tree.count,
        "n_unfinished": tree.n_unfinished,
        "total_ns": numbers(tree.total_ns),
        "self_ns": numbers(tree.self_ns),
        "avg_ns": numbers(average),
        "min_ns": numbers(tree.min_ns),
        "max_ns": numbers(tree.max_ns),
        "flags": tree.flags,
        "row": numbers(tree.row),
    }
    if (at_least := tree.at_least_ns()) is not None:
        columns["at_least_ns"] = numbers(at_least)
    stored = (name for name in (*PART_COLUMNS, *UNKNOWN_COLUMNS, *TRACER_COLUMNS) if tree.has(name))
    columns |= {name: numbers(ns) for name, ns in told({name: tree.whole(name) for name in stored}).items()}
    if tree.own_cost_ns.any():
        columns["own_cost_ns"] = numbers(tree.own_cost_ns)
    if tree.has("error_sure"):
        sure = tree.error_sure
        keys, which = np.unique(2 * tree.error.astype(np.int64) + sure, return_inverse=True)
        pairs = [divmod(key, 2) for key in keys.tolist()]
        columns["error"] = words(which, [error_name(e, sure=bool(s), arch=trace.meta.arch) or None for e, s in pairs])
        columns["error_sure"] = sure
    if tree.has("n_errors"):
        columns["n_errors"] = tree.n_errors
    return pd.DataFrame(columns, index=pd.RangeIndex(len(tree), name="node"))
