"""Selected calls as a pandas DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.callsites import CallSites, callers_of
from kfgraph.analyze.retval import values_of
from kfgraph.analyze.select import Selection
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.kernel.returns import error_name
from kfgraph.model.calls import CONTEXTS, Flag
from kfgraph.model.symbols import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd


def call_frame(selection: Selection, sites: CallSites | None = None) -> pd.DataFrame:
    """The columns of :func:`kfgraph.to_pandas`, one row per selected call."""
    import pandas as pd

    trace = selection.trace
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
    if nth := selection.trace.tasks.nth:
        columns["pid_nth"] = np.array(nth)[lane]
    for name, told_of in callers_of(trace, sites)(rows.astype(np.int32)).items():
        kind = "Int64" if name == "caller_offset" else pd.CategoricalDtype(sorted({*told_of} - {None}))
        columns[name] = pd.Series(told_of, dtype=kind, index=rows)
    for name, ns in selection.further_columns(rows.astype(np.int32)).items():
        columns[name] = numbers(ns, ns < 0)
    if len(selection.own_cost):
        cost_ns = selection.own_cost.of(rows.astype(np.int32))
        columns["own_cost_ns"] = numbers(cost_ns, cost_ns < 0)
    return pd.DataFrame(columns, index=pd.Index(rows, name="row"))
